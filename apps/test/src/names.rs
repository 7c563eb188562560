//! Names: a scheme that is not in the namespace is not there at all.

use crate::messages::{request, Pair};
use crate::part::{content, deadline, end_of, given, status, Part, Role};
use crate::tap::{check, fail, refused, same, works, Check, Test};
use abi::{Error, Handle, Rights};
use scheme::client::File;
use scheme::rt::calls;
use scheme::rt::message::{self, Answer};
use scheme::wire::OpenFlags;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "schemes-outside-the-namespace-are-not-there", run: outside },
    Test { name: "a-name-that-is-unbound-is-not-there-any-more", run: unbound },
];

/// The parts played here.
pub const PARTS: &[Role] = &[
    ("sees-nothing", |_| status(sees_nothing())),
    ("sees-initfs", |_| status(sees_initfs())),
    ("loses-initfs", |_| status(loses_initfs())),
];

fn outside() -> Check {
    refused("a scheme nobody serves", File::open("no-such-scheme:x", OpenFlags::READ), Error::NotFound)?;
    sees_initfs()?;
    content(Part::new("sees-nothing", &[]).run()?)?;
    content(Part::new("sees-initfs", &[]).with_names().run()?)
}

fn sees_initfs() -> Check {
    works("a scheme that is there", File::open("initfs:bin/sh", OpenFlags::READ)).map(|_| ())
}

fn sees_nothing() -> Check {
    refused("the list of an empty namespace", calls::namespace_entry(Handle::SELF_NAMESPACE, 0), Error::NotFound)?;
    for path in ["initfs:bin/sh", "file:", "services:", "service-manager:", "pci:", "console:", "/disk/1/1"] {
        refused(path, File::open(path, OpenFlags::READ), Error::NotFound)?;
    }
    // One's own names are no way to others'.
    match calls::process_namespace(Handle::SELF_PROCESS) {
        Ok(own) => refused("binding in it", calls::namespace_bind(own, "x", Handle::NONE), Error::NoRight)?,
        Err(error) => return fail(error.name()),
    }
    let made = works("a namespace of one's own", calls::namespace_create(Handle::SELF_QUOTA))?;
    refused("a name in it", calls::namespace_session(made, "initfs"), Error::NotFound)?;
    let endpoint = works("an endpoint", calls::endpoint_create(Handle::SELF_QUOTA))?;
    let session = works("a session", calls::session_create(endpoint, 1, 0))?;
    works("binding a name", calls::namespace_bind(made, "mine", session))?;
    same("the name", works("listing", calls::namespace_entry(made, 0))?.as_str(), "mine")?;
    check(calls::namespace_bind(made, "Bad Name", session).is_err(), "a malformed name was taken")
}

fn unbound() -> Check {
    let initfs = works("the root of initfs:", File::open("initfs:", OpenFlags::READ | OpenFlags::DIRECTORY))?;
    let root = initfs.connection().handle().unwrap_or(Handle::NONE);
    let names = works("a namespace", calls::namespace_create(Handle::SELF_QUOTA))?;
    for name in ["initfs", "stays"] {
        works("binding", calls::namespace_bind(names, name, root))?;
    }
    refused("binding it again", calls::namespace_bind(names, "initfs", root), Error::Exists)?;
    let pair = Pair::new()?;
    let part =
        Part::new("loses-initfs", &[]).with_namespace(names).with("server", pair.session, Rights::SEND).start()?;
    works("its call", message::recv(pair.endpoint, pair.reply, deadline()))?;
    works("unbinding", calls::namespace_bind(names, "initfs", Handle::NONE))?;
    works("answering", message::reply(pair.reply, &Answer::default()))?;
    content(end_of(&part)?)?;
    refused("taking it", calls::namespace_session(names, "initfs"), Error::NotFound)?;
    refused("unbinding it again", calls::namespace_bind(names, "initfs", Handle::NONE), Error::NotFound)?;
    same("the other", works("listing", calls::namespace_entry(names, 0))?.as_str(), "stays")?;
    refused("and no more", calls::namespace_entry(names, 1), Error::NotFound)?;
    // The session itself is as it was, and the name can be given again.
    works("using the session", initfs.stat())?;
    works("binding it anew", calls::namespace_bind(names, "initfs", root))?;
    calls::close(names);
    Ok(())
}

fn loses_initfs() -> Check {
    let open = |name: &str| File::open(name, OpenFlags::READ);
    let before = works("while it is bound", open("initfs:bin/sh"))?;
    works("asking", message::call(given("server"), &mut request(1, [0; 6])))?;
    refused("once it is not", open("initfs:bin/sh"), Error::NotFound)?;
    works("the other name", open("stays:bin/sh"))?;
    same("what was open stays open", works("reading", before.read_at(0, &mut [0; 4]))?, 4)
}

//! Names: a scheme that is not in the namespace is not there at all.

use crate::part::{content, status, Part, Role};
use crate::tap::{check, fail, refused, same, works, Check, Test};
use abi::{Error, Handle};
use scheme::client::File;
use scheme::rt::calls;
use scheme::wire::OpenFlags;

/// The tests.
pub const TESTS: &[Test] = &[Test { name: "schemes-outside-the-namespace-are-not-there", run: outside }];

/// The parts played here.
pub const PARTS: &[Role] = &[("sees-nothing", |_| status(sees_nothing())), ("sees-initfs", |_| status(sees_initfs()))];

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

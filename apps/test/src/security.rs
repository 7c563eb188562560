//! Labels and types: what a process of another label can't get, by whatever
//! way, and that the record tells of it.
//!
//! The policy of the image lets us make a process a `guest`, which may use `initfs:` and `hello:` and nothing else.

use crate::part::{content, deadline, end_of, given, status, Part, Role};
use crate::tap::{check, fail, refused, same, works, Check, Test};
use abi::message::Received;
use abi::{Error, Handle, Rights};
use alloc::format;
use alloc::string::{String, ToString};
use scheme::client::File;
use scheme::message::{Outgoing, SendCap};
use scheme::notification::Notification;
use scheme::process::Process;
use scheme::rt::{calls, message, security};
use scheme::scheme::SESSION_RIGHTS;
use scheme::services::{AuditLine, AUDIT_DENIALS, LABELS};
use scheme::wire::OpenFlags;

/// The tests.
pub const TESTS: &[Test] = &[
    Test { name: "a-type-that-a-label-may-not-have-is-denied-by-name-and-inheritance", run: by_name },
    Test { name: "a-type-that-a-label-may-not-have-is-denied-by-grant", run: by_grant },
    Test { name: "a-type-that-a-label-may-not-have-is-denied-in-a-message", run: by_message },
    Test { name: "a-type-that-a-label-may-not-have-is-denied-out-of-a-namespace", run: by_namespace },
    Test { name: "a-session-of-the-default-type-crosses-to-no-other-label", run: default_type },
    Test { name: "only-a-server-of-a-type-makes-sessions-of-it", run: making },
    Test { name: "a-label-is-given-before-a-process-runs-or-has-anything", run: labels },
    Test { name: "denials-are-in-the-audit-record", run: recorded },
];

/// The parts played here.
pub const PARTS: &[Role] = &[
    ("guest-opens", |_| status(guest_opens())),
    ("guest-receives", |_| status(guest_receives())),
    ("guest-takes", |_| status(guest_takes())),
];

/// The number of a subject's or a type's name.
fn number(what: &str, name: &str) -> Check<u32> {
    let (root, _) = works("services:", File::root_of("services:"))?;
    let mut out = alloc::vec![0; 16 * 1024];
    let (_, length) = works("the policy's names", root.control(LABELS, 0, &[], &mut out))?;
    let text = String::from_utf8_lossy(out.get(..length).unwrap_or(&[])).into_owned();
    let found = text.lines().find_map(|line| {
        let number = line.strip_prefix(what)?.strip_suffix(name)?.trim();
        number.parse().ok()
    });
    found.map_or_else(|| fail(format!("the policy knows no {what} {name}")), Ok)
}

fn guest() -> Check<u32> {
    number("subject", " guest")
}

fn handle(file: &File) -> Handle {
    file.connection().handle().unwrap_or(Handle::NONE)
}

/// Sessions that a guest may not have, and may.
fn shut_and_open() -> Check<[File; 2]> {
    let shut = works("a file of the user's", File::open("file:", OpenFlags::READ | OpenFlags::DIRECTORY))?;
    let open = works("a program", File::open("initfs:bin/sh", OpenFlags::READ))?;
    Ok([shut, open])
}

fn can_be_read(session: Handle) -> Check {
    let file = File::from_handle(session);
    same("what is read", works("reading", file.read_at(0, &mut [0; 4]))?, 4)
}

/// Our names, but not our label.
fn by_name() -> Check {
    let [shut, _] = shut_and_open()?;
    works("using what a guest may not have", shut.stat())?;
    check(guest()? != works("looking", calls::process_info(Handle::SELF_PROCESS))?.label, "we are a guest ourselves")?;
    content(Part::new("guest-opens", &[]).with_names().labelled(guest()?).run()?)
}

fn guest_opens() -> Check {
    let open = works("initfs:", File::open("initfs:bin/sh", OpenFlags::READ))?;
    can_be_read(handle(&open))?;
    works("hello:", File::open("hello:x", OpenFlags::READ))?;
    for path in ["file:", "file:/a/b", "services:", "audit:", "pci:", "console:"] {
        refused(path, File::open(path, OpenFlags::READ), Error::Denied)?;
    }
    // Not to be seen at all is something else.
    refused("no such scheme", File::open("no-such-scheme:", OpenFlags::READ), Error::NotFound)?;
    // What a guest makes is one too.
    let child = Empty::new()?;
    let label = |process| works("looking", calls::process_info(process)).map(|info| info.label);
    same("a guest's child's label", label(child.process)?, label(Handle::SELF_PROCESS)?)
}

/// A process without threads that we may do anything with.
struct Empty {
    process: Handle,
    space: Handle,
}

impl Empty {
    fn new() -> Check<Empty> {
        let made = calls::process_create(Handle::SELF_QUOTA, "empty", 100, Handle::NONE);
        let (process, space) = works("an empty process", made)?;
        Ok(Empty { process, space })
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        let _ = calls::process_kill(self.process, 0);
        [self.process, self.space].into_iter().for_each(calls::close);
    }
}

fn by_grant() -> Check {
    let [shut, open] = shut_and_open()?;
    let same_label = Empty::new()?;
    works("inside our label", calls::process_grant(same_label.process, handle(&shut), Rights::all()))?;
    let other = Empty::new()?;
    works("making it a guest", security::process_label(other.process, guest()?))?;
    refused("to a guest", calls::process_grant(other.process, handle(&shut), Rights::all()), Error::Denied)?;
    works("what a guest may have", calls::process_grant(other.process, handle(&open), Rights::all()))?;
    let (entry, _) = works("what it has", calls::process_capability(other.process, 0))?;
    same("its rights", entry.rights, Rights::SEND | Rights::INSPECT)
}

fn send(session: Handle, cap: Handle) -> Check {
    let mut out = Outgoing { deadline_ns: deadline(), ..Outgoing::default() };
    out.caps.push(SendCap { handle: cap, rights: SESSION_RIGHTS });
    works("sending", message::send(session, &mut out))
}

fn by_message() -> Check {
    let [shut, open] = shut_and_open()?;
    let endpoint = works("an endpoint", calls::endpoint_create(Handle::SELF_QUOTA))?;
    let session = works("our session", calls::session_create(endpoint, 1, 0))?;
    let part = Part::new("guest-receives", &[]).with("guest-end", endpoint, Rights::RECEIVE);
    let process = part.labelled(guest()?).start()?;
    send(session, handle(&shut))?;
    send(session, handle(&open))?;
    let end = content(end_of(&process)?);
    [session, endpoint].into_iter().for_each(calls::close);
    end
}

fn guest_receives() -> Check {
    let reply = works("a reply object", calls::reply_create(Handle::SELF_QUOTA))?;
    let receive = || works("receiving", message::recv(given("guest-end"), reply, deadline()));
    let mut denied = receive()?;
    same("a message", denied.kind, Received::Send)?;
    check(denied.caps.take(0).is_none(), "a session came that a guest may not have")?;
    same("why", denied.caps.missing(), Error::Denied)?;
    let mut allowed = receive()?;
    match allowed.caps.take(0) {
        Some(session) => can_be_read(session),
        None => fail("what a guest may have did not come"),
    }
}

fn by_namespace() -> Check {
    let [shut, open] = shut_and_open()?;
    let names = works("a namespace", calls::namespace_create(Handle::SELF_QUOTA))?;
    works("a name", calls::namespace_bind(names, "shut", handle(&shut)))?;
    works("a name", calls::namespace_bind(names, "open", handle(&open)))?;
    calls::close(works("inside our label", calls::namespace_session(names, "shut"))?);
    let part = Part::new("guest-takes", &[]).with("guest-names", names, Rights::MANAGE);
    let end = content(part.labelled(guest()?).run()?);
    calls::close(names);
    end
}

fn guest_takes() -> Check {
    let names = given("guest-names");
    refused("what a guest may not have", calls::namespace_session(names, "shut"), Error::Denied)?;
    can_be_read(works("what it may have", calls::namespace_session(names, "open"))?)
}

fn default_type() -> Check {
    let endpoint = works("an endpoint", calls::endpoint_create(Handle::SELF_QUOTA))?;
    let session = works("a session", calls::session_create(endpoint, 1, 0))?;
    let (near, far) = (Empty::new()?, Empty::new()?);
    works("making it a guest", security::process_label(far.process, guest()?))?;
    works("inside our label", calls::process_grant(near.process, session, Rights::all()))?;
    refused("to a guest", calls::process_grant(far.process, session, Rights::all()), Error::Denied)?;
    works("an endpoint has no type", calls::process_grant(far.process, endpoint, Rights::RECEIVE))?;
    [session, endpoint].into_iter().for_each(calls::close);
    Ok(())
}

fn making() -> Check {
    let endpoint = works("an endpoint", calls::endpoint_create(Handle::SELF_QUOTA))?;
    let initfs = u64::from(number("type", " initfs")?);
    refused("another's type", calls::session_create(endpoint, 1, initfs), Error::Denied)?;
    refused("a type that is none", calls::session_create(endpoint, 1, 255), Error::Denied)?;
    calls::close(works("the default type", calls::session_create(endpoint, 1, 0))?);
    calls::close(endpoint);
    Ok(())
}

fn labels() -> Check {
    let guest = guest()?;
    let init = number("subject", " init")?;
    let empty = Empty::new()?;
    refused("a label that is not ours to give", security::process_label(empty.process, init), Error::Denied)?;
    refused("a label that is none", security::process_label(empty.process, 255), Error::BadArgument)?;
    let own = works("our own process", calls::process_info(Handle::SELF_PROCESS))?.label;
    same("the label it has from us", works("looking", calls::process_info(empty.process))?.label, own)?;
    works("a guest", security::process_label(empty.process, guest))?;
    same("its label", works("looking", calls::process_info(empty.process))?.label, guest)?;
    works("giving it something", calls::process_grant(empty.process, empty.space, Rights::INSPECT))?;
    refused("one that has something", security::process_label(empty.process, own), Error::WrongState)?;
    refused("ourselves", security::process_label(Handle::SELF_PROCESS, guest), Error::WrongState)?;
    // It waits for bits that nobody sets.
    let bits = works("a notification", Notification::new())?;
    let running: Process = Part::new("wait", &[]).with("bits", bits.handle(), Rights::RECEIVE).start()?;
    refused("one that runs", security::process_label(running.handle(), guest), Error::WrongState)?;
    works("ending it", running.kill(0))?;
    end_of(&running)?;
    refused("one that ran", security::process_label(running.handle(), guest), Error::Closed)
}

/// What the record says of denials of ours.
fn denials() -> Check<alloc::vec::Vec<String>> {
    let own = works("our id", calls::thread_id())?.1.to_string();
    let (root, _) = works("audit:", File::root_of("audit:"))?;
    let (mut position, mut found) = (0, alloc::vec::Vec::new());
    loop {
        let mut out = alloc::vec![0; 16 * 1024];
        let (next, length) = works("the record", root.control(AUDIT_DENIALS, position, &[], &mut out))?;
        if length == 0 {
            return Ok(found);
        }
        position = next;
        let text = String::from_utf8_lossy(out.get(..length).unwrap_or(&[])).into_owned();
        let ours = |line: &&str| AuditLine::parse(line).is_some_and(|l| l.pid == own);
        found.extend(text.lines().filter(ours).map(String::from));
    }
}

fn recorded() -> Check {
    let before = denials()?.len();
    let [shut, open] = shut_and_open()?;
    let other = Empty::new()?;
    works("making it a guest", security::process_label(other.process, guest()?))?;
    works("what a guest may have", calls::process_grant(other.process, handle(&open), Rights::all()))?;
    same("denials by what was allowed", denials()?.len(), before)?;
    refused("to a guest", calls::process_grant(other.process, handle(&shut), Rights::all()), Error::Denied)?;
    let found = denials()?;
    same("denials", found.len(), before + 1)?;
    let Some(line) = found.last().and_then(|line| AuditLine::parse(line)) else { return fail("no line") };
    let id = works("its id", calls::process_status(other.process))?.2;
    same("what", (line.verdict, line.kind, line.object_type), ("denied", "pass", "file"))?;
    same("who", (line.name, line.other), ("app-test", format!("guest/{id}").as_str()))
}

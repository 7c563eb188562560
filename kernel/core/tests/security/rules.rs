//! The rules: a session goes to another label with what its type leaves, by
//! whatever way, or not at all.

use crate::kit::{Actor, Kit, CLIENT, CLIENT_RIGHTS, OPEN, RARE, SERVER, SHUT, STRANGER};
use abi::call::Call;
use abi::message::{buffer, Extras, LeaseAccess};
use abi::{Error, Handle, Rights};
use kernel_core::world::{Outcome, LENT};

const ALL: u64 = Rights::all().bits() as u64;

fn scene() -> (Kit, Actor, Actor) {
    let mut kit = Kit::sealed();
    let server = kit.actor(SERVER);
    let client = kit.actor(CLIENT);
    (kit, server, client)
}

#[test]
fn before_a_policy_everything_is_allowed() {
    let mut kit = Kit::new();
    let (server, stranger) = (kit.actor(SERVER), kit.actor(STRANGER));
    let (session, _) = kit.session(server, RARE);
    let to = kit.handle_to(server, stranger.process);
    kit.w.ok(server.thread, Call::ProcessGrant, &[to, session, ALL]);
    assert_ne!(kit.message(server, session, Rights::all(), stranger) as u32, 0);
    kit.w.end();
}

#[test]
fn a_grant_leaves_what_the_matrix_allows_or_is_denied() {
    let (mut kit, server, client) = scene();
    let to = kit.handle_to(server, client.process);
    let (open, _) = kit.session(server, OPEN);
    let given = kit.w.ok(server.thread, Call::ProcessGrant, &[to, open, ALL])[0];
    assert_eq!(kit.rights(client, given), CLIENT_RIGHTS);
    // Less may be asked for; without SEND nothing is worth handing over.
    let given = kit.w.ok(server.thread, Call::ProcessGrant, &[to, open, u64::from(Rights::SEND.bits())])[0];
    assert_eq!(kit.rights(client, given), Rights::SEND);
    let look = u64::from(Rights::INSPECT.bits());
    assert_eq!(kit.w.err(server.thread, Call::ProcessGrant, &[to, open, look]), Error::Denied);
    let (shut, _) = kit.session(server, SHUT);
    assert_eq!(kit.w.err(server.thread, Call::ProcessGrant, &[to, shut, ALL]), Error::Denied);
    // The default type crosses nowhere; the default label takes nothing.
    let (plain, endpoint) = kit.session(server, 0);
    assert_eq!(kit.w.err(server.thread, Call::ProcessGrant, &[to, plain, ALL]), Error::Denied);
    let nobody = kit.actor(0);
    let to_nobody = kit.handle_to(server, nobody.process);
    assert_eq!(kit.w.err(server.thread, Call::ProcessGrant, &[to_nobody, open, ALL]), Error::Denied);
    // What is no session has no type.
    kit.w.ok(server.thread, Call::ProcessGrant, &[to, endpoint, ALL]);
    kit.w.end();
}

#[test]
fn a_message_carries_what_the_matrix_allows_and_else_tells_that_it_was_denied() {
    let (mut kit, server, client) = scene();
    let (open, _) = kit.session(server, OPEN);
    let word = kit.message(server, open, Rights::all(), client);
    assert_eq!((word >> 32) as u16, CLIENT_RIGHTS.bits());
    assert_eq!(kit.rights(client, word & 0xffff_ffff), CLIENT_RIGHTS);
    let (shut, _) = kit.session(server, SHUT);
    assert_eq!(kit.message(server, shut, Rights::all(), client), buffer::DENIED_CAP);
    // Back to the label that made it, nothing is asked.
    let (own, _) = kit.session(server, SHUT);
    let init = kit.init;
    let there = kit.message(server, own, Rights::all(), init) & 0xffff_ffff;
    let back = kit.message(init, there, Rights::all(), server);
    assert_eq!((back >> 32) as u16, kit.rights(server, own).bits());
    kit.w.end();
}

#[test]
fn an_answer_carries_no_more_than_a_call() {
    let (mut kit, server, client) = scene();
    for (object_type, arrives) in [(OPEN, true), (SHUT, false)] {
        let (session, endpoint) = kit.session(server, OPEN);
        let (sent, _) = kit.session(server, object_type);
        let to = kit.handle_to(server, client.process);
        let session = kit.w.ok(server.thread, Call::ProcessGrant, &[to, session, ALL])[0];
        let reply = kit.w.ok(server.thread, Call::ReplyCreate, &[server.quota])[0];
        kit.w.waits(server.thread, Call::Recv, &[endpoint, 0, 0, reply]);
        kit.w.waits(client.thread, Call::Call, &[session, 0, 0]);
        kit.w.buffer_set(server.thread, buffer::SEND_CAPS, sent | ALL << 32);
        kit.w.ok(server.thread, Call::Reply, &[reply, 0, Extras::new(1, 0, false).0]);
        let Outcome::Done(_) = kit.w.outcome(client.thread) else { panic!("answered") };
        let word = kit.w.buffer(client.thread, buffer::RECEIVED_CAPS);
        assert_eq!(word as u32 != 0, arrives);
        assert_eq!(word == buffer::DENIED_CAP, !arrives);
    }
    // Who asks for what it may not have fills its own share of the record, not the server's.
    let denials = |kit: &mut Kit, label: u32| kit.records(1 + u64::from(label), 0).0;
    assert_eq!(denials(&mut kit, SERVER), []);
    let asked: Vec<_> = denials(&mut kit, CLIENT).iter().map(|r| (r.label, r.other_label)).collect();
    assert_eq!(asked, [(SERVER, CLIENT)]);
    kit.w.end();
}

/// Binds a session of a type as `x` in a client's namespace.
fn named(kit: &mut Kit, server: Actor, object_type: u32, client: Actor) {
    let (session, _) = kit.session(server, object_type);
    kit.bind(server, session, "x", client).unwrap();
    kit.put(client, b"x");
}

#[test]
fn a_name_is_no_way_round() {
    for (object_type, allowed) in [(OPEN, true), (SHUT, false), (0, false)] {
        let (mut kit, server, client) = scene();
        named(&mut kit, server, object_type, client);
        let opened = kit.w.call(client.thread, Call::Open, &[LENT, 0, 0, 1]);
        if allowed {
            assert_eq!(opened, Outcome::Waits);
            kit.w.ok(server.thread, Call::ThreadYield, &[]);
        } else {
            assert_eq!(opened, Outcome::Failed(Error::Denied));
        }
        // Who may manage the namespace takes nothing out that it may not have.
        let another = kit.actor(CLIENT);
        let process = kit.handle_to(another, client.process);
        let namespace = kit.w.ok(another.thread, Call::ProcessNamespace, &[process])[0];
        kit.put(another, b"x");
        let taken = kit.w.call(another.thread, Call::NamespaceSession, &[namespace, LENT, 1]);
        match taken {
            Outcome::Done([handle, ..]) => {
                assert!(allowed);
                assert_eq!(kit.rights(another, handle), CLIENT_RIGHTS);
            }
            other => assert_eq!((other, allowed), (Outcome::Failed(Error::Denied), false)),
        }
        kit.w.end();
    }
}

#[test]
fn the_paths_first_bytes_are_kept_if_they_are_there() {
    let (mut kit, server, client) = scene();
    named(&mut kit, server, SHUT, client);
    kit.w.kernel.user_write(client.process, LENT + 4090, b"etc/passwd").unwrap();
    kit.w.lend(client.thread, 0, LENT + 4090, 10, LeaseAccess::READ, 0);
    let args = [LENT, 0, Extras::new(0, 1, false).0, 1];
    assert_eq!(kit.w.err(client.thread, Call::Open, &args), Error::Denied);
    // A page that is not there yet is not brought in.
    kit.w.lend(client.thread, 0, LENT + 8190, 10, LeaseAccess::READ, 0);
    assert_eq!(kit.w.err(client.thread, Call::Open, &args), Error::Denied);
    let (records, _) = kit.records(1 + u64::from(CLIENT), 0);
    assert_eq!(records[0].path(), b"etc/passwd");
    assert_eq!(records[1].path(), b"\0\0", "the two bytes in the page that is there");
    assert_eq!(&records[0].scheme[..2], b"x\0");
    kit.w.end();
}

#[test]
fn inside_a_label_nothing_is_asked() {
    let (mut kit, server, _) = scene();
    let other = kit.actor(SERVER);
    for object_type in [0, SHUT] {
        let (session, _) = kit.session(server, object_type);
        let to = kit.handle_to(server, other.process);
        let given = kit.w.ok(server.thread, Call::ProcessGrant, &[to, session, ALL])[0];
        assert_eq!(kit.rights(other, given), kit.rights(server, session));
    }
    let (session, _) = kit.session(server, 0);
    kit.bind(server, session, "x", other).unwrap();
    kit.put(other, b"x");
    kit.w.waits(other.thread, Call::Open, &[LENT, 0, 0, 1]);
    let nobody = [kit.actor(0), kit.actor(0)];
    let (session, _) = kit.session(nobody[0], 0);
    let to = kit.handle_to(nobody[0], nobody[1].process);
    kit.w.ok(nobody[0].thread, Call::ProcessGrant, &[to, session, ALL]);
    assert_eq!(kit.records(0, 1).0.len(), 1, "only that of the type made (and the policy before it)");
    kit.w.end();
}

#[test]
fn only_who_manages_a_type_makes_sessions_of_it() {
    let (mut kit, server, client) = scene();
    let (_, endpoint) = kit.session(server, OPEN);
    let make = |object_type: u32| [endpoint, u64::from(object_type) + 10, u64::from(object_type)];
    assert_eq!(kit.w.err(server.thread, Call::SessionCreate, &make(RARE)), Error::Denied);
    assert_eq!(kit.w.err(server.thread, Call::SessionCreate, &make(77)), Error::Denied);
    let its = kit.w.ok(client.thread, Call::EndpointCreate, &[client.quota])[0];
    assert_eq!(kit.w.err(client.thread, Call::SessionCreate, &[its, 1, u64::from(OPEN)]), Error::Denied);
    kit.w.ok(client.thread, Call::SessionCreate, &[its, 1, 0]);
    kit.w.end();
}

#[test]
fn a_table_is_asked_for_entry_by_entry() {
    let (mut kit, server, client) = scene();
    let [open, shut] = [OPEN, SHUT].map(|object_type| kit.session(server, object_type).0);
    let cap =
        |kit: &Kit, handle| kit.w.kernel.lookup_any(server.process, Handle::from_word(handle).unwrap()).unwrap().0;
    let (a, b) = (cap(&kit, open), cap(&kit, shut));
    let k = &kit.w.kernel;
    assert_eq!(k.hand_over_rights(server.process, a, Rights::all(), client.process), Ok(CLIENT_RIGHTS));
    assert_eq!(k.hand_over_rights(server.process, b, Rights::all(), client.process), Err(Error::Denied));
    kit.w.end();
}

#[test]
fn labels_are_inherited_and_given_once_to_who_is_empty() {
    let (mut kit, server, _) = scene();
    let create = |kit: &mut Kit, who: Actor| {
        kit.put(who, b"new");
        let [handle, ..] = kit.w.ok(who.thread, Call::ProcessCreate, &[who.quota, LENT, 3, 10, 0]);
        (handle, kit.w.object::<kernel_core::object::Process>(who.process, handle))
    };
    let init = kit.init;
    let (_, child) = create(&mut kit, server);
    assert_eq!(kit.w.kernel.processes[child].label.get(), SERVER);
    let (handle, child) = create(&mut kit, init);
    assert_eq!(kit.w.kernel.processes[child].label.get(), 1);
    let label = |label: u32| [handle, u64::from(label)];
    assert_eq!(kit.w.err(init.thread, Call::ProcessLabel, &label(STRANGER)), Error::Denied);
    assert_eq!(kit.w.err(init.thread, Call::ProcessLabel, &label(0)), Error::Denied);
    assert_eq!(kit.w.err(init.thread, Call::ProcessLabel, &label(5)), Error::BadArgument);
    assert_eq!(kit.w.err(init.thread, Call::ProcessLabel, &[handle, 1 << 32]), Error::BadArgument);
    kit.w.ok(init.thread, Call::ProcessLabel, &label(SERVER));
    kit.w.ok(init.thread, Call::ProcessLabel, &label(CLIENT));
    assert_eq!(kit.w.kernel.processes[child].label.get(), CLIENT);
    // What it was given, it was given under this label.
    let given = kit.w.ok(init.thread, Call::ProcessGrant, &[handle, init.quota, ALL])[0];
    assert_eq!(kit.w.err(init.thread, Call::ProcessLabel, &label(SERVER)), Error::WrongState);
    kit.w.kernel.cap_close(child, Handle::from_word(given).unwrap()).unwrap();
    kit.w.ok(init.thread, Call::ProcessLabel, &label(SERVER));
    // One that runs, or ran, keeps its label.
    let running = kit.actor(SERVER);
    let handle = kit.handle_to(init, running.process);
    assert_eq!(kit.w.err(init.thread, Call::ProcessLabel, &[handle, u64::from(CLIENT)]), Error::WrongState);
    kit.w.ok(running.thread, Call::Close, &[running.quota]);
    assert_eq!(kit.w.err(init.thread, Call::ProcessLabel, &[handle, u64::from(CLIENT)]), Error::WrongState);
    kit.w.call(running.thread, Call::ThreadExit, &[]);
    assert_eq!(kit.w.err(init.thread, Call::ProcessLabel, &[handle, u64::from(CLIENT)]), Error::Closed);
    kit.w.end();
}

#[test]
fn before_a_policy_any_label_can_be_given() {
    let mut kit = Kit::new();
    let init = kit.init;
    kit.put(init, b"new");
    let [handle, ..] = kit.w.ok(init.thread, Call::ProcessCreate, &[init.quota, LENT, 3, 10, 0]);
    assert_eq!(kit.w.err(init.thread, Call::ProcessLabel, &[handle, 256]), Error::BadArgument);
    kit.w.ok(init.thread, Call::ProcessLabel, &[handle, 200]);
    kit.w.end();
}

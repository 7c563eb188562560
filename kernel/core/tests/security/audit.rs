//! The record: what is in it, what is lost, and what no noise takes away.

use crate::kit::{Kit, CLIENT, OPEN, SERVER, SHUT};
use abi::call::Call;
use abi::security::{Kind, Verdict, RECORD_LENGTH};
use abi::{Error, Rights};
use kernel_core::security::audit::{DENIALS_KEPT, KEPT};
use kernel_core::world::LENT;

const ALL: u64 = Rights::all().bits() as u64;

#[test]
fn every_decision_is_there_with_who_what_and_how() {
    let mut kit = Kit::sealed();
    let (server, client) = (kit.actor(SERVER), kit.actor(CLIENT));
    let to = kit.handle_to(server, client.process);
    let (open, _) = kit.session(server, OPEN);
    let (shut, _) = kit.session(server, SHUT);
    kit.w.kernel.machine.set_now(5_000);
    kit.w.ok(server.thread, Call::ProcessGrant, &[to, open, ALL]);
    kit.w.err(server.thread, Call::ProcessGrant, &[to, shut, ALL]);
    kit.w.kernel.audit_revocation(server.process, abi::Kind::Memory, 99);
    let (records, lost) = kit.records(0, 0);
    assert_eq!(lost, 0);
    let kinds: Vec<_> = records.iter().map(|r| (r.kind, r.verdict)).collect();
    let allowed = Verdict::Allowed;
    let expected = [
        (Kind::Policy, allowed),
        (Kind::Make, allowed),
        (Kind::Make, allowed),
        (Kind::Pass, allowed),
        (Kind::Pass, Verdict::Denied),
        (Kind::Revoke, allowed),
    ];
    assert_eq!(kinds, expected);
    assert!(records.iter().map(|r| r.number).eq(0..6));
    let id = |p| kit.w.kernel.processes[p].header.object_id.get();
    let passed = &records[3];
    assert_eq!((passed.process, passed.label, passed.time_ns), (id(server.process), SERVER, 5_000));
    assert_eq!((passed.other, passed.other_label, passed.object_type), (id(client.process), CLIENT, OPEN));
    assert_eq!(&passed.name[..5], b"test\0");
    assert_eq!(passed.given, Rights::SEND | Rights::INSPECT);
    assert!(passed.asked.contains(Rights::TRANSFER));
    assert_eq!(records[4].given, Rights::empty());
    assert_eq!((records[5].object, records[5].object_kind), (99, abi::Kind::Memory as u8));
    let (denials, _) = kit.records(1 + u64::from(SERVER), 0);
    assert_eq!(denials, [records[4]]);
    assert_eq!(kit.records(1 + u64::from(CLIENT), 0).0, []);
    kit.w.end();
}

#[test]
fn noise_of_one_label_takes_no_evidence_of_another() {
    let mut kit = Kit::sealed();
    let (quiet, loud) = (kit.actor(CLIENT), kit.actor(SERVER));
    let deny = |kit: &mut Kit, who: crate::kit::Actor, object_type: u64| {
        let endpoint = kit.w.ok(who.thread, Call::EndpointCreate, &[who.quota])[0];
        assert_eq!(kit.w.err(who.thread, Call::SessionCreate, &[endpoint, 1, object_type]), Error::Denied);
        kit.w.ok(who.thread, Call::Close, &[endpoint]);
    };
    deny(&mut kit, quiet, 1);
    let flood = KEPT + 100;
    for n in 0..flood {
        deny(&mut kit, loud, 4 + n);
    }
    let (kept, lost) = kit.records(1 + u64::from(CLIENT), 0);
    assert_eq!((kept.len(), lost), (1, 0), "the quiet one's denial is there");
    let (kept, lost) = kit.records(1 + u64::from(SERVER), 0);
    assert_eq!(
        (kept.len() as u64, lost),
        (DENIALS_KEPT, flood - DENIALS_KEPT),
        "the loud one's own are cut, and counted"
    );
    let last: Vec<u64> = kept.iter().map(|r| u64::from(r.object_type)).collect();
    assert!(last.into_iter().eq(4 + flood - DENIALS_KEPT..4 + flood));
    let (kept, lost) = kit.records(0, 0);
    // The policy, the quiet one's, and the flood.
    assert_eq!((kept.len() as u64, lost), (KEPT, flood + 2 - KEPT));
    // Who reads on from where it was is told what it missed, and no more.
    let (kept, lost) = kit.records(0, flood);
    assert_eq!((kept.len(), lost), (2, 0));
    kit.w.end();
}

#[test]
fn a_label_that_the_policy_does_not_know_has_the_defaults_share() {
    let mut kit = Kit::sealed();
    let odd = kit.actor(200);
    let endpoint = kit.w.ok(odd.thread, Call::EndpointCreate, &[odd.quota])[0];
    assert_eq!(kit.w.err(odd.thread, Call::SessionCreate, &[endpoint, 1, 1]), Error::Denied);
    assert_eq!(kit.records(1, 0).0.len(), 1);
    kit.w.end();
}

fn note(kit: &mut Kit, length: u64) -> kernel_core::world::Outcome {
    kit.w.call(kit.init.thread, Call::AuditWrite, &[kit.system, LENT, length])
}

#[test]
fn init_adds_notes() {
    let mut kit = Kit::sealed();
    let mut bytes = [0; 96];
    bytes[..5].copy_from_slice(b"memfs");
    bytes[32..39].copy_from_slice(b"started");
    kit.put(kit.init, &bytes);
    assert!(matches!(note(&mut kit, 39), kernel_core::world::Outcome::Done(_)));
    let (records, _) = kit.records(0, 1);
    assert_eq!((records[0].kind, records[0].path()), (Kind::Note, &b"started"[..]));
    assert_eq!(&records[0].scheme[..6], b"memfs\0");
    for length in [0, 31, 97, u64::MAX] {
        assert_eq!(note(&mut kit, length), kernel_core::world::Outcome::Failed(Error::BadArgument));
    }
    assert_eq!(kit.w.err(kit.init.thread, Call::AuditWrite, &[kit.system, 8, 40]), Error::BadAddress);
    kit.w.end();
}

#[test]
fn without_a_policy_there_is_no_record() {
    let mut kit = Kit::new();
    let (t, system) = (kit.init.thread, kit.system);
    assert_eq!(kit.w.err(t, Call::AuditWrite, &[system, LENT, 40]), Error::WrongState);
    assert_eq!(kit.w.err(t, Call::AuditRead, &[system, 0, 0, LENT, 4096]), Error::WrongState);
    kit.w.end();
}

#[test]
fn a_reader_is_refused_what_makes_no_sense() {
    let mut kit = Kit::sealed();
    let (t, system) = (kit.init.thread, kit.system);
    for ring in [6, 257, u64::MAX] {
        assert_eq!(kit.w.err(t, Call::AuditRead, &[system, ring, 0, LENT, 4096]), Error::BadArgument, "{ring}");
    }
    let short = RECORD_LENGTH as u64 - 1;
    assert_eq!(kit.w.err(t, Call::AuditRead, &[system, 0, 0, LENT, short]), Error::BadArgument);
    assert_eq!(kit.w.err(t, Call::AuditRead, &[system, 0, 0, 8, 4096]), Error::BadAddress);
    let far = kit.w.ok(t, Call::AuditRead, &[system, 0, u64::MAX, LENT, 4096]);
    assert_eq!(far[..3], [0, 1, 0], "past the end there is nothing");
    kit.w.end();
}

/// The caller's page is not there and can't be had.
#[test]
fn a_reader_pays_for_its_own_pages() {
    let fresh = LENT + 4 * 4096;
    for (call, args) in [(Call::AuditRead, vec![0, 0, fresh, 4096]), (Call::AuditWrite, vec![fresh, 40])] {
        let mut kit = Kit::sealed();
        let args = [&[kit.system][..], &args].concat();
        let root = kit.w.kernel.root_quota();
        let left = kit.w.kernel.quotas[root].limit_pages.get() - kit.w.kernel.quotas[root].used_pages.get();
        kit.w.kernel.charge(root, left).unwrap();
        assert_eq!(kit.w.err(kit.init.thread, call, &args), Error::OutOfQuota);
        kit.w.kernel.uncharge(root, left);
        let mut taken = Vec::new();
        while let Some(frame) = kit.w.kernel.frames.take() {
            taken.push(frame);
        }
        assert_eq!(kit.w.err(kit.init.thread, call, &args), Error::OutOfMemory);
        for frame in taken {
            kit.w.kernel.frames.release(frame);
        }
        kit.w.ok(kit.init.thread, call, &args);
        kit.w.end();
    }
}

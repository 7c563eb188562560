//! The client against a server that answers whatever it likes, and against a
//! kernel that asks for patience.

use abi::{Error, Handle, Result};
use proptest::prelude::{any, proptest, ProptestConfig};
use scheme::client::{File, MAX_RESENDS};
use scheme::message::{Caps, Connection, Incoming, Lend, Outgoing};
use scheme::wire::OpenFlags;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

#[derive(Default)]
struct Script {
    answers: VecDeque<Result<([u64; 6], u64, u32)>>,
    seen: Vec<[u64; 6]>,
    touched: usize,
    discarded: Vec<Handle>,
    paused: usize,
    sequence: u64,
}

#[derive(Clone, Default)]
struct Scripted(Rc<RefCell<Script>>);

impl Scripted {
    fn then(self, answer: Result<([u64; 6], u64, u32)>) -> Scripted {
        self.0.borrow_mut().answers.push_back(answer);
        self
    }
}

impl Connection for Scripted {
    fn call(&self, request: &mut Outgoing<'_>) -> Result<Incoming> {
        let mut script = self.0.borrow_mut();
        script.seen.push(request.words);
        for lend in &mut request.leases {
            if let Lend::Write(buffer) = lend {
                buffer.fill(0xff);
            }
        }
        let (words, tag, cap) = script.answers.pop_front().expect("no more answers in the script")?;
        Ok(Incoming { tag, words, caps: Caps::new([Handle(cap), Handle::NONE, Handle::NONE, Handle::NONE]) })
    }
    fn next_sequence(&self) -> u64 {
        let mut script = self.0.borrow_mut();
        script.sequence += 1;
        script.sequence
    }
    fn adopt(&self, _: Handle) -> Result<Scripted> {
        Ok(self.clone())
    }
    fn discard(&self, handle: Handle) {
        self.0.borrow_mut().discarded.push(handle);
    }
    fn touch(&self, lend: &mut Lend<'_>) -> Result<()> {
        self.0.borrow_mut().touched += 1;
        if matches!(lend, Lend::PassOn { .. }) {
            return Err(Error::LeaseFault);
        }
        Ok(())
    }
    fn pause(&self) {
        self.0.borrow_mut().paused += 1;
    }
}

const OK: ([u64; 6], u64, u32) = ([3, 0, 0, 0, 0, 0], 0, 0);

fn status(error: Error) -> Result<([u64; 6], u64, u32)> {
    Ok(([0; 6], u64::from(error.number()), 0))
}

#[test]
fn a_call_is_sent_again_under_its_number_until_it_is_answered() {
    let server = Scripted::default()
        .then(Err(Error::Restarted))
        .then(Err(Error::Retry))
        .then(status(Error::LeaseFault))
        .then(Err(Error::Restarted))
        .then(Ok(OK));
    let file = File::new(server.clone());
    assert_eq!(file.write(b"abc"), Ok(3));
    let script = server.0.borrow();
    assert_eq!((script.seen.len(), script.touched, script.paused), (5, 1, 1));
    assert!(script.seen.iter().all(|words| words[5] == 1), "one number: {:?}", script.seen);
    drop(script);
    server.clone().then(Ok(OK));
    assert_eq!(file.write(b"abc"), Ok(3));
    assert_eq!(server.0.borrow().seen[5][5], 2, "the next call has the next");
}

#[test]
fn a_server_that_dies_of_every_call_is_given_up() {
    let mut server = Scripted::default();
    for _ in 0..=MAX_RESENDS {
        server = server.then(Err(Error::Restarted));
    }
    assert_eq!(File::new(server).sync(), Err(Error::Io));
}

#[test]
fn a_fault_in_what_was_lent_to_us_goes_back_to_who_lent_it() {
    let server = Scripted::default().then(status(Error::LeaseFault));
    let access = abi::message::LeaseAccess::READ;
    let lend = Lend::PassOn { reply: Handle(5), index: 0, offset: 0, length: 3, access };
    assert_eq!(File::new(server).write_from(0, lend), Err(Error::LeaseFault));
}

#[test]
fn counts_beyond_what_was_asked_for_are_lies() {
    let much = ([4, 4, 0, 0, 0, 0], 0, 0);
    assert_eq!(File::new(Scripted::default().then(Ok(much))).read(&mut [0; 3]), Err(Error::Corrupt));
    assert_eq!(File::new(Scripted::default().then(Ok(much))).write(b"abc"), Err(Error::Corrupt));
    assert_eq!(File::new(Scripted::default().then(Ok(much))).control(1, 2, b"", &mut [0; 3]), Err(Error::Corrupt));
    // Entries that never end would be a loop without end.
    assert_eq!(File::new(Scripted::default().then(Ok(([0, 7, 0, 0, 0, 0], 0, 0)))).list(), Err(Error::Corrupt));
    let nonsense = ([32, u64::MAX, 0, 0, 0, 0], 0, 0);
    assert_eq!(File::new(Scripted::default().then(Ok(nonsense))).list(), Err(Error::Corrupt));
}

#[test]
fn capabilities_of_failed_or_strange_answers_are_given_up() {
    let server = Scripted::default().then(Ok(([0; 6], u64::from(Error::Io.number()), 77))).then(Ok(([0; 6], 0, 78)));
    let file = File::new(server.clone());
    assert_eq!(file.open_at("x", OpenFlags::READ).err(), Some(Error::Io));
    assert_eq!(file.control(1, 1, b"", &mut []), Ok((0, 0)));
    assert_eq!(server.0.borrow().discarded, [Handle(77), Handle(78)]);
    assert_eq!(File::new(Scripted::default().then(Ok(OK))).open_at("x", OpenFlags::READ).err(), Some(Error::TableFull));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn no_answer_makes_the_client_panic(words in any::<[u64; 6]>(), tag in 0..100u64, pick in 0..9u8) {
        if tag == u64::from(Error::Restarted.number()) || tag == u64::from(Error::LeaseFault.number()) || tag == u64::from(Error::Retry.number()) {
            return Ok(());
        }
        let file = File::new(Scripted::default().then(Ok((words, tag, 1))));
        let mut buffer = [0; 64];
        match pick {
            0 => drop(file.stat()),
            1 => drop(file.space()),
            2 => drop(file.list_some(0)),
            3 => drop(file.read(&mut buffer)),
            4 => drop(file.write(&buffer)),
            5 => drop(file.control(0, 0, &[], &mut buffer)),
            6 => drop(file.open_at("x", OpenFlags::READ)),
            7 => drop(file.map(0, 4096, abi::memory::Protection::READ)),
            _ => drop(scheme::block_client::SchemeDevice::new(file)),
        }
    }
}

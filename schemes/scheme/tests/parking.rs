//! Calls that wait: a pipe whose readers and writers are asked again when
//! something happened.

use abi::{Error, Handle};
use scheme::host::Harness;
use scheme::lease::{Source, Target};
use scheme::message::SendCap;
use scheme::scheme::{CallId, Caller, Opened, Outcome, Scheme, Stop};
use scheme::wire::{OpenFlags, Operation, Tag, Whence, AT_POSITION, READY_READ};
use std::collections::VecDeque;

/// Eight bytes of room; event 1 closes it.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    closed: bool,
    asked: Vec<CallId>,
    cancelled: Vec<CallId>,
    ended: usize,
    watch: Option<Handle>,
}

impl Scheme for Pipe {
    fn open(&mut self, _: &Caller, path: &str, _: OpenFlags) -> Outcome<Opened> {
        Ok(Opened::new(path.len() as u64))
    }
    fn read(&mut self, caller: &Caller, _: u64, target: &mut Target<'_>) -> Outcome<usize> {
        self.asked.push(caller.call);
        if self.bytes.is_empty() && !self.closed {
            return Err(Stop::Later);
        }
        let count = target.len().min(self.bytes.len());
        let data: Vec<u8> = self.bytes.drain(..count).collect();
        Ok(target.fill(&data)?)
    }
    fn write(&mut self, _: &Caller, _: u64, source: &mut Source<'_>) -> Outcome<usize> {
        let room = 8 - self.bytes.len();
        if room == 0 {
            return Err(Stop::Later);
        }
        let data = source.to_vec(100)?;
        self.bytes.extend(data.iter().take(room));
        Ok(data.len().min(room))
    }
    fn seek(&mut self, _: &Caller, _: u64, _: Whence, _: i64) -> Outcome<u64> {
        Err(Error::NotSupported.into())
    }
    fn watch(&mut self, _: &Caller, interest: u64, notification: Handle, _: u64) -> Outcome<u64> {
        self.watch = Some(notification);
        Ok(if self.bytes.is_empty() { 0 } else { interest & READY_READ })
    }
    fn close(&mut self, _: &Caller) {
        self.ended += 1;
    }
    fn cancelled(&mut self, caller: &Caller) {
        self.cancelled.push(caller.call);
    }
    fn event(&mut self, bits: u64) {
        self.closed = bits & 1 != 0;
    }
}

const RW: OpenFlags = OpenFlags::READ.union(OpenFlags::WRITE);

fn read_tag() -> (u64, [u64; 6]) {
    (Tag::new(Operation::Read).0, [AT_POSITION, 4, 0, 0, 0, 0])
}

#[test]
fn a_reader_is_answered_when_somebody_writes_and_keeps_its_number() {
    let harness = Harness::new(Pipe::default());
    let (reader, writer) = (harness.root().open_at("r", RW).unwrap(), harness.root().open_at("w", RW).unwrap());
    let (tag, words) = read_tag();
    let call = harness.begin(&reader, tag, words, b"", 4);
    assert_eq!(harness.finish(call), None);
    assert_eq!(writer.write(b"hi"), Ok(2));
    let (reply, buffer) = harness.finish(call).unwrap();
    assert_eq!((reply.tag, reply.words[0], &buffer[..2]), (0, 2, &b"hi"[..]));
    let asked = harness.scheme(|pipe| pipe.asked.clone());
    assert!(asked.len() >= 2 && asked.iter().all(|id| *id == asked[0]), "one call, one number: {asked:?}");
}

#[test]
fn a_writer_waits_for_room_which_a_reader_makes() {
    let harness = Harness::new(Pipe::default());
    let file = harness.root().open_at("x", RW).unwrap();
    assert_eq!(file.write(b"0123456789"), Ok(8));
    let words = [AT_POSITION, 2, 0, 0, 0, 0];
    let call = harness.begin(&file, Tag::new(Operation::Write).0, words, b"89", 0);
    assert_eq!(harness.finish(call), None);
    let mut four = [0; 4];
    assert_eq!((file.read(&mut four), &four), (Ok(4), b"0123"));
    assert_eq!(harness.finish(call).unwrap().0.words[0], 2);
    assert_eq!((file.read(&mut [0; 9]), harness.scheme(|pipe| pipe.bytes.len())), (Ok(6), 0));
}

#[test]
fn an_event_lets_all_waiting_calls_go_on() {
    let harness = Harness::new(Pipe::default());
    let file = harness.root().open_at("x", RW).unwrap();
    let (tag, words) = read_tag();
    let calls: Vec<_> = (0..5).map(|_| harness.begin(&file, tag, words, b"", 4)).collect();
    harness.event(1);
    for call in calls {
        assert_eq!(harness.finish(call).unwrap().0.words[0], 0, "closed: the end");
    }
}

#[test]
fn who_would_rather_not_wait_is_told() {
    let harness = Harness::new(Pipe::default());
    let mut file = harness.root().open_at("x", RW).unwrap();
    file.set_non_blocking(true);
    assert_eq!(file.read(&mut [0; 4]), Err(Error::WouldBlock));
    assert_eq!(harness.scheme(|pipe| pipe.cancelled.len()), 1, "the scheme may forget it");
}

#[test]
fn a_cancelled_call_and_the_end_of_a_session_end_its_waiting() {
    let harness = Harness::new(Pipe::default());
    let root = harness.root();
    let (one, two) = (root.open_at("1", RW).unwrap(), root.open_at("2", RW).unwrap());
    let (tag, words) = read_tag();
    let (first, second) = (harness.begin(&one, tag, words, b"", 4), harness.begin(&two, tag, words, b"", 4));
    harness.cancel(first);
    drop(two);
    assert_eq!(one.write(b"abc"), Ok(3));
    assert_eq!((harness.finish(first), harness.finish(second)), (None, None));
    let (cancelled, ended, bytes) = harness.scheme(|pipe| (pipe.cancelled.len(), pipe.ended, pipe.bytes.len()));
    assert_eq!((cancelled, ended, bytes), (2, 1, 3), "nobody took the bytes away");
}

#[test]
fn a_waiting_caller_is_told_of_a_restart_so_that_it_can_send_again() {
    let harness = Harness::with_keepsake(8192, Pipe::default);
    let file = harness.root().open_at("x", RW).unwrap();
    let (tag, words) = read_tag();
    let call = harness.begin(&file, tag, words, b"", 4);
    harness.restart();
    assert_eq!(harness.finish(call).unwrap().0.tag, u64::from(Error::Restarted.number()));
    let again = harness.begin(&file, tag, words, b"", 4);
    assert_eq!(file.write(b"x"), Ok(1));
    assert_eq!(harness.finish(again).unwrap().0.words[0], 1);
}

#[test]
fn capabilities_that_nobody_takes_are_closed() {
    let harness = Harness::new(Pipe::default());
    let file = harness.root().open_at("x", RW).unwrap();
    let cap = |number: u32| SendCap { handle: Handle(number), rights: abi::Rights::SEND };
    assert_eq!(file.watch(READY_READ, cap(900), 1), Ok(0));
    assert_eq!(file.control_with(1, 2, b"", &mut [], &[cap(901), cap(902)]).err(), Some(Error::NotSupported));
    assert_eq!(harness.scheme(|pipe| pipe.watch), Some(Handle(900)));
    assert_eq!(harness.closed(), [Handle(901), Handle(902)]);
}

#[test]
fn what_makes_no_sense_is_refused_before_the_scheme_hears_of_it() {
    let harness = Harness::new(Pipe::default());
    let file = harness.root().open_at("x", OpenFlags::READ).unwrap();
    let status = |tag: u64, words: [u64; 6], data: &[u8]| {
        let call = harness.begin(&file, tag, words, data, 4);
        abi::error::check(harness.finish(call).expect("answered at once").0.tag).unwrap_err()
    };
    let tag = |operation| Tag::new(operation).0;
    assert_eq!(status(0, [0; 6], b""), Error::NotSupported);
    assert_eq!(status(99, [0; 6], b""), Error::NotSupported);
    assert_eq!(status(tag(Operation::Read) | 1 << 50, [0; 6], b""), Error::NotSupported);
    assert_eq!(status(tag(Operation::Read), [1 << 63, 1, 0, 0, 0, 0], b""), Error::BadArgument);
    assert_eq!(status(tag(Operation::Write), [0; 6], b"x"), Error::PermissionDenied);
    assert_eq!(status(tag(Operation::Open), [0, 1 << 20, 0, 0, 0, 0], b"x"), Error::BadArgument);
    assert_eq!(status(tag(Operation::Open), [0, 1, 0, 0, 0, 0], b"a\xff"), Error::InvalidName);
    assert_eq!(status(tag(Operation::Open), [0, 1, 0, 0, 0, 0], &[b'a'; 5000]), Error::NameTooLong);
    assert_eq!(status(tag(Operation::Map), [0, 0, 99, 0, 0, 0], b""), Error::BadArgument);
    assert_eq!(status(tag(Operation::Seek), [0, 9, 0, 0, 0, 0], b""), Error::BadArgument);
    assert_eq!(status(tag(Operation::Watch), [1, 1, 0, 0, 0, 0], b""), Error::BadHandle);
}

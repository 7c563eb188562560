//! The agent against a serial port and a system that are not there: streams,
//! credit, the end of commands.

use agent::server::{Agent, ENDED, UART};
use agent::world::World;
use hal::access::Ports;
use hal::uart::Uart;
use scheme::lease::{Source, Target};
use scheme::scheme::{Caller, Scheme, Stop};
use scheme::{Error, Result};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// A serial port whose line is as fast as it is asked.
#[derive(Default)]
struct Line {
    enabled: u8,
    divisor: bool,
    scratch: u8,
    to_guest: VecDeque<u8>,
    to_host: Vec<u8>,
    /// The other side takes nothing now.
    stuck: bool,
}

#[derive(Clone, Default)]
struct Port(Rc<RefCell<Line>>);

impl Ports for Port {
    fn read8(&self, port: u16) -> Result<u8> {
        let mut line = self.0.borrow_mut();
        Ok(match port {
            0 => line.to_guest.pop_front().unwrap_or(0),
            2 if line.enabled & 1 != 0 && !line.to_guest.is_empty() => 0xc4,
            2 if line.enabled & 2 != 0 && !line.stuck => 0xc2,
            2 => 0xc1,
            5 => u8::from(!line.to_guest.is_empty()) | if line.stuck { 0 } else { 0x60 },
            7 => line.scratch,
            _ => 0,
        })
    }
    fn write8(&self, port: u16, value: u8) -> Result<()> {
        let mut line = self.0.borrow_mut();
        match port {
            0 if !line.divisor => line.to_host.push(value),
            1 if !line.divisor => line.enabled = value,
            3 => line.divisor = value & 0x80 != 0,
            7 => line.scratch = value,
            _ => {}
        }
        Ok(())
    }
}

#[derive(Default)]
struct Seen {
    started: Vec<(Vec<String>, u64)>,
    status: Option<i32>,
    missing: Vec<String>,
    off: u32,
    refuse: bool,
}

#[derive(Clone, Default)]
struct Fake(Rc<RefCell<Seen>>);

impl World for Fake {
    fn start(&mut self, arguments: &[String], first: u64) -> Result<()> {
        let mut seen = self.0.borrow_mut();
        seen.started.push((arguments.to_vec(), first));
        if seen.refuse {
            return Err(Error::OutOfQuota);
        }
        Ok(())
    }
    fn ended(&mut self) -> Option<i32> {
        self.0.borrow_mut().status.take()
    }
    fn missing(&mut self) -> Vec<String> {
        self.0.borrow().missing.clone()
    }
    fn power_off(&mut self) {
        self.0.borrow_mut().off += 1;
    }
}

struct Bench {
    agent: Agent<Port, Fake>,
    line: Port,
    world: Fake,
}

impl Bench {
    fn new() -> Bench {
        let (line, world) = (Port::default(), Fake::default());
        let mut agent = Agent::new(Uart::new(line.clone()).unwrap(), world.clone());
        agent.event(UART);
        let bench = Bench { agent, line, world };
        assert_eq!(bench.said(), b"\x1eR\0\0");
        bench
    }
    fn said(&self) -> Vec<u8> {
        std::mem::take(&mut self.line.0.borrow_mut().to_host)
    }
    fn host(&mut self, kind: u8, payload: &[u8]) {
        let mut line = self.line.0.borrow_mut();
        line.to_guest.extend([0x1e, kind]);
        line.to_guest.extend((payload.len() as u16).to_le_bytes());
        line.to_guest.extend(payload);
        drop(line);
        self.agent.event(UART);
    }
    fn caller(&mut self, badge: u64) -> Caller {
        Caller { id: self.agent.root(badge).unwrap(), badge, ..Caller::default() }
    }
    fn read(&mut self, badge: u64, room: usize) -> std::result::Result<Vec<u8>, Stop> {
        let caller = self.caller(badge);
        let mut buffer = vec![0; room];
        let length = self.agent.read(&caller, 0, &mut Target::from_slice(&mut buffer))?;
        buffer.truncate(length);
        Ok(buffer)
    }
    fn write(&mut self, badge: u64, data: &[u8]) -> std::result::Result<usize, Stop> {
        let caller = self.caller(badge);
        self.agent.write(&caller, 0, &mut Source::from_slice(data))
    }
    fn first(&self) -> u64 {
        self.world.0.borrow().started.last().unwrap().1
    }
    fn end(&mut self, status: i32) {
        self.world.0.borrow_mut().status = Some(status);
        self.agent.event(ENDED);
        self.agent.event(UART);
    }
}

#[test]
fn a_command_writes_reads_and_ends() {
    let mut bench = Bench::new();
    bench.host(b'Q', b"cat\0a b\0");
    assert_eq!(bench.world.0.borrow().started[0].0, ["cat", "a b", ""]);
    let first = bench.first();
    assert_eq!(bench.write(first + 1, b"out"), Ok(3));
    assert_eq!(bench.write(first + 2, b"err"), Ok(3));
    bench.agent.event(UART);
    assert_eq!(bench.said(), b"\x1eO\x03\0out\x1eE\x03\0err");
    bench.end(7);
    assert_eq!(bench.said(), b"\x1eX\x04\0\x07\0\0\0");
}

#[test]
fn input_is_asked_for_only_when_it_is_read_and_no_more_than_fits() {
    let mut bench = Bench::new();
    bench.host(b'Q', b"cat");
    let first = bench.first();
    bench.agent.event(UART);
    assert_eq!(bench.said(), b"", "nothing is asked before the command reads");
    assert_eq!(bench.read(first, 5), Err(Stop::Later));
    // Asked again after an event that brought nothing, it does not ask the host twice.
    assert_eq!(bench.read(first, 5), Err(Stop::Later));
    bench.agent.event(UART);
    assert_eq!(bench.said(), b"\x1eN\x04\0\x05\0\0\0");
    bench.host(b'I', b"abc");
    assert_eq!(bench.read(first, 2), Ok(b"ab".to_vec()));
    assert_eq!(bench.read(first, 5), Ok(b"c".to_vec()));
    // Two of the five are still to come: only three more are asked for.
    assert_eq!(bench.read(first, 5), Err(Stop::Later));
    bench.agent.event(UART);
    assert_eq!(bench.said(), b"\x1eN\x04\0\x03\0\0\0");
    bench.host(b'Z', b"");
    assert_eq!(bench.read(first, 5), Ok(vec![]));
    assert_eq!(bench.read(first, 5), Ok(vec![]));
}

#[test]
fn writers_wait_while_the_line_is_stuck_and_nothing_is_lost() {
    let mut bench = Bench::new();
    bench.host(b'Q', b"yes");
    let first = bench.first();
    bench.line.0.borrow_mut().stuck = true;
    let data: Vec<u8> = (0..100_000u32).map(|i| (i / 7) as u8).collect();
    let mut done = 0;
    let mut waits = 0;
    while done < data.len() {
        match bench.write(first + 1, &data[done..]) {
            Ok(more) => done += more,
            Err(Stop::Later) => {
                waits += 1;
                assert!(bench.agent.uart().waiting() < 40_000, "{}", bench.agent.uart().waiting());
                bench.line.0.borrow_mut().stuck = false;
                bench.agent.event(UART);
                bench.line.0.borrow_mut().stuck = true;
            }
            other => panic!("{other:?}"),
        }
    }
    bench.line.0.borrow_mut().stuck = false;
    bench.agent.event(UART);
    let wire = bench.said();
    let (mut at, mut got) = (0, Vec::<u8>::new());
    while at < wire.len() {
        let length = usize::from(u16::from_le_bytes([wire[at + 2], wire[at + 3]]));
        assert_eq!(wire[at..at + 2], *b"\x1eO");
        got.extend(&wire[at + 4..at + 4 + length]);
        at += 4 + length;
    }
    assert!(waits > 1);
    assert_eq!(got, data);
}

#[test]
fn what_an_ended_command_left_behind_can_not_speak() {
    let mut bench = Bench::new();
    bench.host(b'Q', b"one");
    let first = bench.first();
    bench.end(0);
    assert_eq!(bench.write(first + 1, b"x"), Err(Error::Closed.into()));
    bench.host(b'I', b"late");
    bench.host(b'Z', b"");
    bench.host(b'Q', b"two");
    let second = bench.first();
    assert_ne!(first, second);
    assert_eq!(bench.write(first + 1, b"x"), Err(Error::Closed.into()));
    assert_eq!(bench.read(second, 4), Err(Stop::Later), "late input of the first command is not the second's");
    assert_eq!(bench.write(second, b"x"), Err(Error::PermissionDenied.into()));
    assert_eq!(bench.read(second + 1, 1), Err(Error::PermissionDenied.into()));
}

#[test]
fn missing_services_are_told_before_the_status() {
    let mut bench = Bench::new();
    bench.world.0.borrow_mut().missing = vec!["memfs".into()];
    bench.host(b'Q', b"x");
    bench.end(0);
    assert_eq!(bench.said(), b"\x1eS\x05\0memfs\x1eX\x04\0\0\0\0\0");
}

#[test]
fn a_command_that_can_not_be_started_ends_at_once() {
    let mut bench = Bench::new();
    bench.world.0.borrow_mut().refuse = true;
    bench.host(b'Q', b"x");
    bench.agent.event(UART);
    let said = bench.said();
    assert!(said.starts_with(b"\x1eE") && said.ends_with(b"\x1eX\x04\0\x7e\0\0\0"), "{said:?}");
    bench.world.0.borrow_mut().refuse = false;
    bench.host(b'Q', b"y");
    assert_eq!(bench.world.0.borrow().started.len(), 2);
}

#[test]
fn power_off_and_garbage_are_taken_as_they_come() {
    let mut bench = Bench::new();
    bench.line.0.borrow_mut().to_guest.extend(b"????");
    bench.agent.event(UART);
    bench.host(b'K', b"");
    assert_eq!(bench.world.0.borrow().off, 1);
}

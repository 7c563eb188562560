//! A command's standard input, given to the guest as it asks.
//!
//! A stream is read by a thread of its own, and only as much as the guest has room for: what
//! the command does not take stays with whoever runs us.

use std::io::{Read, Write};
use std::sync::mpsc;

use crate::agent::{Sender, ToGuest, PAYLOAD_MAX};
use crate::error::Result;
use crate::guest::Event;

/// Where a command's standard input comes from.
pub enum Input {
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// A stream, read as far as the command asks.
    Stream(Box<dyn Read + Send>),
}

/// Hands one command its input.
pub(crate) struct Feeder {
    source: Source,
    ended: bool,
    /// What the guest has asked for and not been promised yet.
    wanted: usize,
}

enum Source {
    Bytes(Vec<u8>),
    Stream {
        /// How much to read next; one request at a time.
        requests: mpsc::Sender<usize>,
        reading: bool,
    },
}

impl Feeder {
    /// Takes `input`; what a stream gives is announced on `events`.
    pub fn new(input: Input, events: mpsc::Sender<Event>) -> Self {
        let source = match input {
            Input::Bytes(bytes) => Source::Bytes(bytes),
            Input::Stream(stream) => {
                let (requests, wanted) = mpsc::channel();
                std::thread::spawn(move || read_on_request(stream, &wanted, &events));
                Source::Stream { requests, reading: false }
            }
        };
        Self { source, ended: false, wanted: 0 }
    }

    /// The guest has room for `count` more bytes.
    pub fn granted(&mut self, count: u32, sender: &mut Sender<impl Write>) -> Result<()> {
        sender.grant(count);
        self.wanted = self.wanted.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        match &mut self.source {
            Source::Bytes(bytes) => {
                let sent = sender.send_input(bytes)?;
                bytes.drain(..sent);
                if bytes.is_empty() && !self.ended {
                    self.ended = true;
                    sender.send(&ToGuest::InputEnd)?;
                }
            }
            Source::Stream { .. } => self.request(),
        }
        Ok(())
    }

    /// The stream has given a piece, or has ended.
    pub fn arrived(&mut self, piece: Option<Vec<u8>>, sender: &mut Sender<impl Write>) -> Result<()> {
        if let Source::Stream { reading, .. } = &mut self.source {
            *reading = false;
        }
        match piece {
            Some(piece) => {
                // All of it goes: no more than the guest has room for was ever requested.
                let sent = sender.send_input(&piece)?;
                self.wanted = self.wanted.saturating_sub(sent);
                self.request();
            }
            None if !self.ended => {
                self.ended = true;
                sender.send(&ToGuest::InputEnd)?;
            }
            None => {}
        }
        Ok(())
    }

    fn request(&mut self) {
        if let Source::Stream { requests, reading } = &mut self.source {
            if !*reading && !self.ended && self.wanted > 0 {
                // The reader ends only after it has announced the stream's end.
                *reading = requests.send(self.wanted.min(PAYLOAD_MAX)).is_ok();
            }
        }
    }
}

fn read_on_request(mut stream: impl Read, requests: &mpsc::Receiver<usize>, events: &mpsc::Sender<Event>) {
    let mut chunk = vec![0; PAYLOAD_MAX];
    for wanted in requests {
        let event = loop {
            match stream.read(&mut chunk[..wanted]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // A terminal that went away reads as an error: an end all the same.
                Ok(0) | Err(_) => break Event::InputEnd,
                Ok(count) => break Event::Input(chunk[..count].to_vec()),
            }
        };
        let ended = matches!(event, Event::InputEnd);
        if events.send(event).is_err() || ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn payloads(wire: &[u8]) -> (Vec<u8>, bool) {
        let (mut rest, mut input, mut ended) = (wire, Vec::new(), false);
        while let [crate::agent::MAGIC, kind, low, high, tail @ ..] = rest {
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            assert!(!ended, "a frame after the end");
            match kind {
                b'I' => input.extend_from_slice(&tail[..length]),
                b'Z' => ended = true,
                other => panic!("frame {other}"),
            }
            rest = &tail[length..];
        }
        assert!(rest.is_empty());
        (input, ended)
    }

    #[test]
    fn a_stream_is_read_no_further_than_the_guest_has_room() {
        let (events, heard) = mpsc::channel();
        let mut wire = Vec::new();
        {
            let mut sender = Sender::new(&mut wire);
            let mut feeder = Feeder::new(Input::Stream(Box::new(Cursor::new(b"abcdef".to_vec()))), events);
            feeder.granted(4, &mut sender).unwrap();
            let Event::Input(piece) = heard.recv().unwrap() else { panic!("no input") };
            assert_eq!(piece, b"abcd");
            feeder.arrived(Some(piece), &mut sender).unwrap();
            // No room, so no reading: nothing comes.
            assert!(heard.recv_timeout(std::time::Duration::from_millis(20)).is_err());
            feeder.granted(100, &mut sender).unwrap();
            let Event::Input(piece) = heard.recv().unwrap() else { panic!("no input") };
            feeder.arrived(Some(piece), &mut sender).unwrap();
            assert!(matches!(heard.recv().unwrap(), Event::InputEnd));
            feeder.arrived(None, &mut sender).unwrap();
        }
        assert_eq!(payloads(&wire), (b"abcdef".to_vec(), true));
    }

    #[test]
    fn bytes_are_sent_in_grants_and_their_end_once() {
        let (events, _heard) = mpsc::channel();
        let mut wire = Vec::new();
        {
            let mut sender = Sender::new(&mut wire);
            let mut feeder = Feeder::new(Input::Bytes(vec![7; 70_000]), events);
            for _ in 0..3 {
                feeder.granted(40_000, &mut sender).unwrap();
            }
        }
        assert_eq!(payloads(&wire), (vec![7; 70_000], true));
    }
}

//! Frames of the channel: `1E`, a type, the payload's length (16 bits, little
//! endian), the payload.
//!
//! The host's half is `ci/src/agent.rs`; a change here is a change there.

use alloc::string::String;
use alloc::vec::Vec;

/// The byte every frame starts with.
pub const MAGIC: u8 = 0x1e;
/// Bytes before the payload.
const HEADER: usize = 4;

/// What the agent says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToHost<'a> {
    /// `R`: it runs.
    Ready,
    /// `O`: standard output.
    Output(&'a [u8]),
    /// `E`: standard error.
    Errors(&'a [u8]),
    /// `X`: the command ended with this status.
    Exit(i32),
    /// `S`: this service should run and does not.
    ServiceDown(&'a str),
    /// `N`: room for so many more bytes of standard input.
    WantsInput(u32),
}

/// The longest payload that is sent: small enough that two streams take turns.
pub const LONGEST: usize = 16 * 1024;

impl ToHost<'_> {
    /// Appends the frame's bytes; a payload past [`LONGEST`] becomes several frames.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ToHost::Ready => one(b'R', &[], out),
            ToHost::Output(data) => many(b'O', data, out),
            ToHost::Errors(data) => many(b'E', data, out),
            ToHost::Exit(status) => one(b'X', &status.to_le_bytes(), out),
            ToHost::ServiceDown(name) => one(b'S', name.as_bytes().get(..LONGEST).unwrap_or(name.as_bytes()), out),
            ToHost::WantsInput(count) => one(b'N', &count.to_le_bytes(), out),
        }
    }
}

fn many(kind: u8, data: &[u8], out: &mut Vec<u8>) {
    data.chunks(LONGEST).for_each(|piece| one(kind, piece, out));
}

fn one(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[MAGIC, kind]);
    out.extend_from_slice(&(payload.len() as u16).to_le_bytes());
    out.extend_from_slice(payload);
}

/// What the host says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromHost {
    /// `I`: standard input.
    Input(Vec<u8>),
    /// `Z`: its end.
    InputEnd,
    /// `Q`: run this.
    Run(Vec<String>),
    /// `K`: switch off.
    PowerOff,
}

/// A command and its arguments, NUL between them.
pub fn arguments(bytes: &[u8]) -> Vec<String> {
    bytes.split(|b| *b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Bytes of a frame that can't be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbage;

/// Takes the host's bytes as they come and gives whole frames.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Adds what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole frame. Errors: [`Garbage`]; what came so far is dropped, since nothing tells where a frame begins.
    pub fn next_frame(&mut self) -> Result<Option<FromHost>, Garbage> {
        // Looked at first: the length behind a wrong byte would have us wait for ever.
        if self.pending.first().is_some_and(|first| *first != MAGIC) {
            self.pending.clear();
            return Err(Garbage);
        }
        let Some(&[_, kind, low, high]) = self.pending.first_chunk::<HEADER>() else { return Ok(None) };
        let end = HEADER + usize::from(u16::from_le_bytes([low, high]));
        let Some(payload) = self.pending.get(HEADER..end) else { return Ok(None) };
        let frame = match kind {
            b'I' => FromHost::Input(payload.to_vec()),
            b'Z' if payload.is_empty() => FromHost::InputEnd,
            b'Q' => FromHost::Run(arguments(payload)),
            b'K' if payload.is_empty() => FromHost::PowerOff,
            _ => {
                self.pending.clear();
                return Err(Garbage);
            }
        };
        self.pending.drain(..end);
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::{arguments, Decoder, FromHost, Garbage, ToHost, LONGEST};

    fn bytes(frame: ToHost<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        frame.encode(&mut out);
        out
    }

    #[test]
    fn frames_look_as_the_host_expects_them() {
        assert_eq!(bytes(ToHost::Ready), [0x1e, b'R', 0, 0]);
        assert_eq!(bytes(ToHost::Exit(-2)), [0x1e, b'X', 4, 0, 0xfe, 0xff, 0xff, 0xff]);
        assert_eq!(bytes(ToHost::WantsInput(0x1234)), [0x1e, b'N', 4, 0, 0x34, 0x12, 0, 0]);
        assert_eq!(bytes(ToHost::Errors(b"no")), [0x1e, b'E', 2, 0, b'n', b'o']);
        assert_eq!(bytes(ToHost::ServiceDown("x")), [0x1e, b'S', 1, 0, b'x']);
        let long = bytes(ToHost::Output(&vec![7; LONGEST + 1]));
        assert_eq!((long.len(), &long[4 + LONGEST..]), (LONGEST + 9, &[0x1e, b'O', 1, 0, 7][..]));
    }

    #[test]
    fn frames_of_the_host_survive_any_cutting() {
        let mut wire = b"\x1eQ\x09\x00sh\0-c\0a b".to_vec();
        wire.extend(b"\x1eI\x03\x00\x1eQ\x00\x1eZ\x00\x00\x1eK\x00\x00");
        for piece in 1..wire.len() {
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            for part in wire.chunks(piece) {
                decoder.push(part);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    got.push(frame);
                }
            }
            let run = FromHost::Run(vec!["sh".into(), "-c".into(), "a b".into()]);
            assert_eq!(got, [run, FromHost::Input(b"\x1eQ\0".to_vec()), FromHost::InputEnd, FromHost::PowerOff]);
        }
    }

    #[test]
    fn garbage_is_refused_and_forgotten() {
        for bad in [&b"\0Q\0\0"[..], b"\x1e?\0\0", b"\x1eZ\x01\0x"] {
            let mut decoder = Decoder::default();
            decoder.push(bad);
            assert_eq!(decoder.next_frame(), Err(Garbage));
            decoder.push(b"\x1eK\0\0");
            assert_eq!(decoder.next_frame(), Ok(Some(FromHost::PowerOff)));
        }
    }

    #[test]
    fn empty_arguments_are_kept() {
        assert_eq!(arguments(b"a\0\0b\0"), ["a", "", "b", ""]);
    }
}

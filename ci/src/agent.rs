//! The host's side of the agent's channel: frames over the second serial port.
//!
//! A frame is `1E`, a type byte, the payload's length (16 bits, little endian) and the payload.
//! ci/README.md has the table of types. The guest's first frame is *ready*; before it the
//! firmware may write anything on the port, so everything up to it is skipped. After it, a byte
//! out of place is an error: the channel carries a command's exact output, and guessing where
//! the next frame starts could make output out of noise.

use std::io::Write;

use crate::error::{Error, Result};

/// The byte every frame starts with.
pub const MAGIC: u8 = 0x1E;
/// Magic, type, length.
pub const HEADER_BYTES: usize = 4;
/// The longest payload.
pub const PAYLOAD_MAX: usize = u16::MAX as usize;

/// What the guest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromGuest {
    /// `R`: the agent runs.
    Ready,
    /// `O`: bytes of the command's standard output.
    Output(Vec<u8>),
    /// `E`: bytes of its standard error.
    Errors(Vec<u8>),
    /// `X`: it ended with this status.
    Exit(i32),
    /// `S`: this service should run and does not.
    ServiceDown(String),
    /// `N`: room for so many more bytes of standard input.
    WantsInput(u32),
}

/// What the host says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToGuest<'a> {
    /// `I`: bytes of standard input, no more than were asked for.
    Input(&'a [u8]),
    /// `Z`: standard input has ended.
    InputEnd,
    /// `Q`: run this command.
    Run(&'a [String]),
    /// `K`: write back what is not written, and switch the machine off.
    PowerOff,
}

impl ToGuest<'_> {
    /// The frame's bytes.
    ///
    /// # Errors
    /// When the payload is longer than a frame can carry, or an argument holds a NUL.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let (kind, payload) = match self {
            Self::Input(bytes) => (b'I', bytes.to_vec()),
            Self::InputEnd => (b'Z', Vec::new()),
            Self::Run(argv) => (b'Q', join_arguments(argv)?),
            Self::PowerOff => (b'K', Vec::new()),
        };
        encode(kind, &payload)
    }
}

/// A command and its arguments as one string of bytes, NUL between them.
///
/// # Errors
/// When there is no command, or an argument holds a NUL.
pub fn join_arguments(argv: &[String]) -> Result<Vec<u8>> {
    if argv.is_empty() {
        return Err(Error::Protocol("no command".into()));
    }
    if argv.iter().any(|argument| argument.contains('\0')) {
        return Err(Error::Protocol("an argument holds a NUL".into()));
    }
    Ok(argv.join("\0").into_bytes())
}

fn encode(kind: u8, payload: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(payload.len())
        .map_err(|_| Error::Protocol(format!("{} bytes do not fit a frame", payload.len())))?;
    let mut frame = vec![MAGIC, kind];
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(payload);
    Ok(frame)
}

/// Takes the guest's bytes as they come and gives whole frames.
#[derive(Default)]
pub struct Decoder {
    pending: Vec<u8>,
    ready: bool,
}

/// The first frame, as it looks on the wire.
const READY: [u8; HEADER_BYTES] = [MAGIC, b'R', 0, 0];

impl Decoder {
    /// A decoder at the start of a channel.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// When the bytes can't be a frame; the channel is useless from there on.
    pub fn next_frame(&mut self) -> Result<Option<FromGuest>> {
        if !self.ready && !self.skip_to_ready() {
            return Ok(None);
        }
        let Some(&[magic, kind, low, high]) = self.pending.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        if magic != MAGIC {
            return Err(Error::Protocol(format!("a frame starts with {magic:#04x}")));
        }
        let end = HEADER_BYTES + usize::from(u16::from_le_bytes([low, high]));
        if self.pending.len() < end {
            return Ok(None);
        }
        let frame: Vec<u8> = self.pending.drain(..end).skip(HEADER_BYTES).collect();
        parse(kind, frame).map(Some)
    }

    /// Whether bytes of an unfinished frame are left: at the end of a channel, a sign of a cut.
    pub fn is_mid_frame(&self) -> bool {
        self.ready && !self.pending.is_empty()
    }

    fn skip_to_ready(&mut self) -> bool {
        if let Some(at) = crate::capture::find(&self.pending, &READY) {
            self.pending.drain(..at);
            self.ready = true;
            return true;
        }
        // Only what could still become the ready frame is worth keeping.
        let keep = self.pending.len().saturating_sub(HEADER_BYTES - 1);
        self.pending.drain(..keep);
        false
    }
}

fn parse(kind: u8, payload: Vec<u8>) -> Result<FromGuest> {
    let word = |payload: &[u8]| {
        <[u8; 4]>::try_from(payload)
            .map_err(|_| Error::Protocol(format!("frame '{}' has {} bytes, not 4", kind as char, payload.len())))
    };
    match kind {
        b'R' if payload.is_empty() => Ok(FromGuest::Ready),
        b'O' => Ok(FromGuest::Output(payload)),
        b'E' => Ok(FromGuest::Errors(payload)),
        b'X' => word(&payload).map(|bytes| FromGuest::Exit(i32::from_le_bytes(bytes))),
        b'S' => Ok(FromGuest::ServiceDown(String::from_utf8_lossy(&payload).into_owned())),
        b'N' => word(&payload).map(|bytes| FromGuest::WantsInput(u32::from_le_bytes(bytes))),
        _ => Err(Error::Protocol(format!("unknown frame {kind:#04x} of {} bytes", payload.len()))),
    }
}

/// The sending half: frames out, and how much input the guest has room for.
pub struct Sender<W> {
    stream: W,
    credit: usize,
}

impl<W: Write> Sender<W> {
    /// Sends on `stream`.
    pub fn new(stream: W) -> Self {
        Self { stream, credit: 0 }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the frame can't be made or the channel has ended.
    pub fn send(&mut self, frame: &ToGuest<'_>) -> Result<()> {
        if matches!(frame, ToGuest::Run(_)) {
            // Room is granted per command.
            self.credit = 0;
        }
        let bytes = frame.encode()?;
        self.stream.write_all(&bytes).map_err(Error::host("writing to the agent"))
    }

    /// Notes that the guest has room for `bytes` more.
    pub fn grant(&mut self, bytes: u32) {
        self.credit = self.credit.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
    }

    /// Sends as much of `input` as the guest has room for; how much that was.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_input(&mut self, input: &[u8]) -> Result<usize> {
        let mut sent = 0;
        while self.credit > 0 && sent < input.len() {
            let count = self.credit.min(input.len() - sent).min(PAYLOAD_MAX);
            self.send(&ToGuest::Input(&input[sent..sent + count]))?;
            self.credit -= count;
            sent += count;
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        encode(kind, payload).unwrap()
    }

    fn all(decoder: &mut Decoder) -> Vec<FromGuest> {
        std::iter::from_fn(|| decoder.next_frame().expect("sound frames")).collect()
    }

    #[test]
    fn frames_survive_any_cutting_and_any_bytes() {
        let payload: Vec<u8> = (0..=255).chain([MAGIC, b'X']).collect();
        let mut wire = b"firmware \x1b[2J noise \x1e".to_vec();
        wire.extend(frame(b'R', b""));
        wire.extend(frame(b'O', &payload));
        wire.extend(frame(b'E', b""));
        wire.extend(frame(b'X', &(-3i32).to_le_bytes()));
        for piece in [1, 2, 3, 5, wire.len()] {
            let mut decoder = Decoder::new();
            let mut got = Vec::new();
            for chunk in wire.chunks(piece) {
                decoder.push(chunk);
                got.extend(all(&mut decoder));
            }
            let want =
                [FromGuest::Ready, FromGuest::Output(payload.clone()), FromGuest::Errors(vec![]), FromGuest::Exit(-3)];
            assert_eq!(got, want, "pieces of {piece}");
            assert!(!decoder.is_mid_frame());
        }
    }

    #[test]
    fn noise_after_ready_is_an_error_not_output() {
        let mut decoder = Decoder::new();
        decoder.push(&frame(b'R', b""));
        decoder.push(b"oops");
        assert_eq!(decoder.next_frame().unwrap(), Some(FromGuest::Ready));
        assert!(decoder.next_frame().is_err());
    }

    #[test]
    fn a_frame_with_a_wrong_type_or_length_is_refused() {
        for bad in [frame(b'?', b""), frame(b'X', b"123"), frame(b'N', b"12345"), frame(b'R', b"x")] {
            let mut decoder = Decoder::new();
            decoder.push(&frame(b'R', b""));
            decoder.push(&bad);
            assert_eq!(decoder.next_frame().unwrap(), Some(FromGuest::Ready));
            assert!(decoder.next_frame().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_cut_frame_is_noticed() {
        let mut decoder = Decoder::new();
        decoder.push(&frame(b'R', b""));
        decoder.push(&frame(b'O', b"all of it")[..7]);
        assert_eq!(all(&mut decoder), [FromGuest::Ready]);
        assert!(decoder.is_mid_frame());
    }

    #[test]
    fn input_never_exceeds_what_was_granted() {
        let mut sender = Sender::new(Vec::new());
        assert_eq!(sender.send_input(b"abc").unwrap(), 0);
        sender.grant(2);
        assert_eq!(sender.send_input(b"abc").unwrap(), 2);
        assert_eq!(sender.send_input(b"c").unwrap(), 0);
        assert_eq!(sender.stream, frame(b'I', b"ab"));
        sender.grant(u32::MAX);
        assert_eq!(sender.send_input(&vec![0; 100_000]).unwrap(), 100_000);
        // A new command starts without room.
        sender.send(&ToGuest::Run(&["cat".into()])).unwrap();
        assert_eq!(sender.send_input(b"x").unwrap(), 0);
    }

    #[test]
    fn arguments_keep_blanks_and_emptiness() {
        let argv = ["sh".into(), "-c".into(), "echo  'a b'; ".into(), String::new()];
        assert_eq!(join_arguments(&argv).unwrap(), b"sh\0-c\0echo  'a b'; \0");
        assert!(join_arguments(&[]).is_err());
        assert!(join_arguments(&["a\0b".into()]).is_err());
        assert!(ToGuest::Run(&["x".repeat(70_000)]).encode().is_err());
    }
}

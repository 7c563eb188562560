//! The keyboard: scan codes of the PS/2 controller to the bytes that a
//! terminal sends.

use alloc::vec::Vec;
use pc_keyboard::layouts::Us104Key;
use pc_keyboard::{DecodedKey, HandleControl, KeyCode, Keyboard as Decoder, ScancodeSet1};

/// A keyboard with the US layout, scan-code set 1 (which the controller translates to).
pub struct Keyboard(Decoder<Us104Key, ScancodeSet1>);

impl Default for Keyboard {
    fn default() -> Self {
        Keyboard(Decoder::new(ScancodeSet1::new(), Us104Key, HandleControl::MapLettersToUnicode))
    }
}

impl Keyboard {
    /// Takes a scan code; the bytes that the key sends are appended to `out`.
    pub fn code(&mut self, code: u8, out: &mut Vec<u8>) {
        let Ok(Some(event)) = self.0.add_byte(code) else { return };
        match self.0.process_keyevent(event) {
            Some(DecodedKey::Unicode('\u{8}')) => out.push(0x7f),
            Some(DecodedKey::Unicode('\n')) => out.push(b'\r'),
            Some(DecodedKey::Unicode('\u{7f}')) => out.extend(b"\x1b[3~"),
            Some(DecodedKey::Unicode(c)) => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            Some(DecodedKey::RawKey(key)) => out.extend(sequence(key)),
            None => {}
        }
    }
}

/// What a key without a character sends (xterm's sequences).
fn sequence(key: KeyCode) -> &'static [u8] {
    match key {
        KeyCode::ArrowUp => b"\x1b[A",
        KeyCode::ArrowDown => b"\x1b[B",
        KeyCode::ArrowRight => b"\x1b[C",
        KeyCode::ArrowLeft => b"\x1b[D",
        KeyCode::Home => b"\x1b[H",
        KeyCode::End => b"\x1b[F",
        KeyCode::Insert => b"\x1b[2~",
        KeyCode::Delete => b"\x1b[3~",
        KeyCode::PageUp => b"\x1b[5~",
        KeyCode::PageDown => b"\x1b[6~",
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::Keyboard;

    fn typed(codes: &[u8]) -> Vec<u8> {
        let mut keyboard = Keyboard::default();
        let mut out = Vec::new();
        codes.iter().for_each(|code| keyboard.code(*code, &mut out));
        out
    }

    #[test]
    fn keys_send_what_a_terminal_sends() {
        assert_eq!(typed(&[0x1e, 0x9e]), b"a");
        assert_eq!(typed(&[0x2a, 0x1e, 0x9e, 0xaa, 0x1e]), b"Aa");
        assert_eq!(typed(&[0x1d, 0x2e]), [3], "Ctrl-C");
        assert_eq!(typed(&[0x1c, 0x0e]), b"\r\x7f");
        assert_eq!(typed(&[0xe0, 0x48]), b"\x1b[A");
        assert_eq!(typed(&[0xe0, 0x53]), b"\x1b[3~");
    }

    #[test]
    fn no_sequence_of_codes_is_too_much() {
        let mut seed = 7u32;
        let mut codes = Vec::new();
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            codes.push((seed >> 24) as u8);
        }
        assert!(typed(&codes).len() < 100_000);
    }
}

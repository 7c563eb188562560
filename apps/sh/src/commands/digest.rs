//! `sha256sum`.

use crate::commands::text::{pieces, source, words};
use crate::context::{Chunk, Context, Options};
use core::fmt::Write;
use sha2::{Digest, Sha256};

/// `sha256sum`, in the format of GNU coreutils: a name that holds a line's end or a backslash is escaped.
pub fn sha256sum(cx: &mut Context<'_>, options: &Options<'_>) {
    let mut chunk = Chunk::new();
    for word in words(options) {
        let stream = source(cx, word);
        let Some(stream) = cx.check(word, stream) else { continue };
        let mut sum = Sha256::new();
        let read = pieces(&stream, &mut chunk, |piece| {
            sum.update(piece);
            true
        });
        if cx.check(word, read).is_none() {
            continue;
        }
        let odd = word.contains(['\n', '\r', '\\']);
        if odd {
            cx.out.bytes(b"\\");
        }
        for byte in sum.finalize() {
            let _ = write!(cx.out, "{byte:02x}");
        }
        cx.out.bytes(b"  ");
        for c in word.chars() {
            match c {
                '\n' => cx.out.bytes(b"\\n"),
                '\r' => cx.out.bytes(b"\\r"),
                '\\' => cx.out.bytes(b"\\\\"),
                c => cx.out.bytes(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        cx.out.bytes(b"\n");
        // A long list is seen as it grows.
        cx.out.flush();
    }
}

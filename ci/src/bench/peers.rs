//! What seL4 and Linux take for the same, on the same yardstick (November 2026).
//!
//! seL4 16 and, after a semicolon, seL4 16 MCS (scheduling contexts, as the kernel here has them); Linux 6.1 of Debian. How they were
//! measured, and how it is read rightly: `docs/bench.md`.

/// By the beginning of a row's name: seL4, Linux.
const PEERS: &[(&str, &str, &str)] = &[
    ("empty syscall", "89", "325"),
    ("call and reply_recv", "395; 489", "pipe 12239"),
    ("call with 4 KiB lease, copied", "", "pipe 14180"),
    ("call with 64 KiB lease, mapped", "718 a page", ""),
    ("notify a waiting thread of higher priority, until", "509; 688", ""),
    ("notify a waiting thread of higher priority, and", "", "eventfd 9775"),
    ("yield and switch", "268; 462", "1857"),
    ("interrupt to its driver's thread", "354", ""),
    ("fault to a handler", "1303; 1932", "signal 4049"),
    ("fresh page", "", "3273"),
    ("map one page, and", "718; 807", "with unmap 13190"),
    ("protect one page", "719", "7158"),
    ("thread: create", "", "41190"),
    ("process of one thread", "", "fork 434300"),
    ("process from its program file", "", "spawn 473200"),
];

/// What the peers take for a row; nothing where it was not measured.
pub fn of(name: &str) -> (&'static str, &'static str) {
    let found = PEERS.iter().find(|(begin, ..)| name.starts_with(begin));
    found.map_or(("", ""), |(_, sel4, linux)| (sel4, linux))
}

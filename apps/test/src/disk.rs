//! What a block driver counts, seen from outside; for the system tests, which know
//! which disk there is.

use crate::part::deadline;
use crate::tap::Out;
use abi::{Error, Result};
use alloc::format;
use alloc::string::ToString;
use scheme::block::COUNTERS;
use scheme::client::File;
use scheme::services;
use scheme::time;
use scheme::wire::OpenFlags;

/// Requests finished, interrupts, interrupts that found nothing, requests the device has now.
struct Counted {
    finished: u64,
    interrupts: u64,
    idle: u64,
    outstanding: u64,
}

fn counted(disk: &File) -> Result<Counted> {
    let mut bytes = [0; 48];
    disk.control(COUNTERS, 0, &[], &mut bytes)?;
    let at = |i: usize| bytes.chunks(8).nth(i).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
    Ok(Counted { finished: at(1), interrupts: at(3), idle: at(4), outstanding: at(5) })
}

fn open(number: &str) -> Result<File> {
    File::open(&format!("block-{number}:"), OpenFlags::READ)
}

/// Ends the driver of a disk at a moment when its device has a request. Errors: `TimedOut` when there is none for long.
fn kill(out: &Out, number: &str) -> Result<()> {
    let disk = open(number)?;
    let end = deadline();
    loop {
        let now = counted(&disk)?;
        if now.outstanding > 0 {
            let name = format!("virtio-blk-{number}");
            File::root_of("services:")?.0.control(services::KILL, 0, name.as_bytes(), &mut [])?;
            out.line(&format!("outstanding {}", now.outstanding));
            return Ok(());
        }
        if time::now_ns() > end {
            return Err(Error::TimedOut);
        }
    }
}

/// Reads blocks one after another, and tells how many interrupts that took. Errors: `Io` when the counts don't fit.
fn interrupts(out: &Out, number: &str) -> Result<()> {
    const READS: u64 = 64;
    let disk = open(number)?;
    let before = counted(&disk)?;
    let mut block = [0; 4096];
    for n in 0..READS {
        disk.read_full_at(n * 4096, &mut block)?;
    }
    let after = counted(&disk)?;
    let requests = after.finished - before.finished;
    let taken = after.interrupts - before.interrupts;
    let idle = after.idle - before.idle;
    out.line(&format!("{requests} requests, {taken} interrupts, {idle} of them idle"));
    // One request at a time, and its end is told by an interrupt alone: exactly one each.
    if requests == READS && taken == READS && idle == 0 {
        Ok(())
    } else {
        Err(Error::Io)
    }
}

/// `disk kill N`, `disk interrupts N`; the exit status.
pub fn run(out: &Out, words: &[&str]) -> u64 {
    let outcome = match words {
        ["kill", number] => kill(out, number),
        ["interrupts", number] => interrupts(out, number),
        _ => Err(Error::BadArgument),
    };
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            out.line(&error.to_string());
            1
        }
    }
}

//! `app-bench`: prints the system's rows, or what calls cost (`calls`); in init's
//! place the kernel's rows. `server`, `stamp` and `nothing` are the parts its second processes play.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

extern crate alloc;

use abi::Result;
use app_bench::{costs, interrupt, measure, place, server, system};
use scheme::client::File;
use scheme::rt::start;

scheme::entry!(run);

/// The longest program file that is read.
const PROGRAM: usize = 16 << 20;

fn run() -> u64 {
    if place::is_ours() {
        return ended(place::run());
    }
    ended(match start::arguments().get(1).map(|a| a.as_str()) {
        Some("server") => server::serve(),
        Some("stamp") => interrupt::stamp(),
        Some("nothing") => Ok(()),
        Some("calls") => print_costs(),
        Some(place::NAME) => print_rows(),
        _ => print_system(),
    })
}

fn ended(outcome: Result<()>) -> u64 {
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            log::error!("{error}");
            1
        }
    }
}

fn out() -> Result<File> {
    start::handle(abi::start::names::STDOUT).map(File::from_handle).ok_or(abi::Error::NotFound)
}

fn print_costs() -> Result<()> {
    out()?.write_all(costs::all()?.as_bytes())
}

/// The kernel's rows, to the log.
fn print_rows() -> Result<()> {
    let file = start::handle(place::FILE).ok_or(abi::Error::NotFound)?;
    measure::all(place::file(file)?, &mut |row| log::info!("{}", row.json()))
}

fn print_system() -> Result<()> {
    let out = out()?;
    let program = File::read_all_of("initfs:bin/app-bench", PROGRAM)?;
    let mut failed = None;
    system::all(&program, &mut |row| {
        if let Err(error) = out.write_all(alloc::format!("{}\n", row.json()).as_bytes()) {
            failed = Some(error);
        }
    })?;
    failed.map_or(Ok(()), Err)
}

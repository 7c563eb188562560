//! `app-bench`: prints the rows, or what calls cost (`calls`); `server` and
//! `nothing` are the parts its second processes play.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

extern crate alloc;

use abi::Result;
use app_bench::measure;
use scheme::client::File;
use scheme::rt::start;

scheme::entry!(run);

/// The longest program file that is read.
const PROGRAM: usize = 16 << 20;

fn run() -> u64 {
    let outcome = match start::arguments().get(1).map(|a| a.as_str()) {
        Some("server") => measure::serve(),
        Some("nothing") => Ok(()),
        Some("calls") => print_costs(),
        _ => print_all(),
    };
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            log::error!("{error}");
            1
        }
    }
}

fn print_costs() -> Result<()> {
    let out = start::handle(abi::start::names::STDOUT).map(File::from_handle).ok_or(abi::Error::NotFound)?;
    out.write_all(app_bench::costs::all()?.as_bytes())
}

fn print_all() -> Result<()> {
    let out = start::handle(abi::start::names::STDOUT).map(File::from_handle).ok_or(abi::Error::NotFound)?;
    let program = File::read_all_of("initfs:bin/app-bench", PROGRAM)?;
    for row in measure::boot()? {
        out.write_all(row.json().as_bytes())?;
    }
    let mut failed = None;
    measure::all(&program, &mut |row| {
        if let Err(error) = out.write_all(row.json().as_bytes()) {
            failed = Some(error);
        }
    })?;
    failed.map_or(Ok(()), Err)
}

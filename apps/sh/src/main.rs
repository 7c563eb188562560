//! The shell's program: arguments, streams, and which way to run.
//!
//! `sh -c TEXT [NAME [ARGUMENT…]]`, `sh FILE [ARGUMENT…]`, or commands from standard input: with line editing
//! where that is a console.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use scheme::client::File;
use scheme::rt::start;
use scheme::wire::OpenFlags;
use sh::builtin::text_of;
use sh::interactive;
use sh::machine::{stream, Machine};
use sh::program::{NOT_FOUND, NOT_RUNNABLE};
use sh::shell::{Shell, SYNTAX};
use sh::system::{reason, Null, Shared, Streams};

scheme::entry!(run);

/// The streams that were given. A shell that got none talks to the console; one that got only some has nothing elsewhere.
fn streams() -> Streams {
    let given = ["stdin", "stdout", "stderr"].map(start::handle);
    if given.iter().all(Option::is_none) {
        if let Ok(console) = File::open("console:", OpenFlags::READ | OpenFlags::WRITE) {
            if let Some(handle) = console.into_connection().into_handle() {
                let console: Shared = stream(handle);
                return [console.clone(), console.clone(), console];
            }
        }
    }
    given.map(|handle| match handle {
        Some(handle) => stream(handle),
        None => Rc::new(Null),
    })
}

fn environment() -> Vec<String> {
    let entries = start::start().into_iter().flat_map(|start| start.environment());
    entries.map(|entry| String::from_utf8_lossy(entry).into_owned()).collect()
}

fn run() -> u64 {
    let mut shell = Shell::new(Box::new(Machine::default()), streams(), &environment());
    let mut arguments = start::arguments().into_iter().skip(1);
    let status = match arguments.next() {
        None if interactive::is_console(shell.streams.first().unwrap_or(&(Rc::new(Null) as Shared))) => {
            interactive::run(&mut shell)
        }
        None => interactive::run_script(&mut shell),
        Some(option) if option == "-c" => match arguments.next() {
            None => {
                shell.complain(format_args!("-c requires an argument"));
                SYNTAX
            }
            Some(text) => {
                if let Some(name) = arguments.next() {
                    shell.name = name;
                }
                shell.positional = arguments.collect();
                shell.run(&text)
            }
        },
        Some(option) if option.len() > 1 && option.starts_with('-') => {
            shell.complain(format_args!(
                "{option}: unknown option\nusage: sh [-c TEXT [NAME [ARGUMENT…]] | FILE [ARGUMENT…]]"
            ));
            SYNTAX
        }
        Some(file) => match text_of(&mut shell, &file) {
            Ok(text) => {
                shell.name = file;
                shell.positional = arguments.collect();
                shell.run(&text)
            }
            Err(error) => {
                shell.complain(format_args!("{file}: {}", reason(error)));
                if error == scheme::Error::NotFound {
                    NOT_FOUND
                } else {
                    NOT_RUNNABLE
                }
            }
        },
    };
    u64::from(status)
}

//! Commands that change the shell itself: `cd`, `exit`, `export`, `set`,
//! `wait`, `time` and so on.

use crate::commands::COMMANDS;
use crate::paths;
use crate::program;
use crate::quote;
use crate::shell::{is_name, Shell, Variable};
use crate::system::{reason, Streams};
use crate::view;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use scheme::stat::FileKind;
use scheme::wire::OpenFlags;
use scheme::Error;

/// A builtin: arguments after the name, streams; the status.
pub type Builtin = fn(&mut Shell, &[String], &Streams) -> u8;

const BUILTINS: &[(&str, &str, Builtin)] = &[
    (".", "FILE: run a file's text in this shell", source),
    (":", "do nothing", |_, _, _| 0),
    ("cd", "[DIRECTORY]: change the working directory", cd),
    ("exit", "[STATUS]: end the shell", exit),
    ("export", "[NAME[=VALUE]…]: hand variables to programs", export),
    ("false", "fail", |_, _, _| 1),
    ("help", "list commands", help),
    ("pwd", "write the working directory", pwd),
    ("set", "[-- ARGUMENT…]: list variables, or set $1 and so on", set),
    ("shift", "[N]: drop the first positional parameters", shift),
    ("time", "COMMAND: run it and tell how long that took", time),
    ("true", "succeed", |_, _, _| 0),
    ("unset", "NAME…: forget variables", unset),
    ("wait", "[PID…]: wait for what runs in the background", wait),
];

/// The builtin with this name.
pub fn find(name: &str) -> Option<Builtin> {
    BUILTINS.iter().find(|(known, _, _)| *known == name).map(|(_, _, run)| *run)
}

fn print(shell: &Shell, streams: &Streams, text: &str) -> u8 {
    let [_, out, _] = streams;
    match out.write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(error) => {
            shell.complain_to(streams, format_args!("write error: {}", reason(error)));
            1
        }
    }
}

fn cd(shell: &mut Shell, arguments: &[String], streams: &Streams) -> u8 {
    let home = || shell.variables.get("HOME").map_or("/", |v| v.value.as_str());
    let back = || shell.variables.get("OLDPWD").map_or("", |v| v.value.as_str());
    let (word, tell) = match arguments {
        [] => (String::from(home()), false),
        [dash] if dash == "-" => (String::from(back()), true),
        [word] => (word.clone(), false),
        _ => {
            shell.complain_to(streams, format_args!("cd: too many arguments"));
            return 2;
        }
    };
    let found = paths::absolute(&shell.cwd, &word)
        .and_then(|path| view::stat(shell.system.as_mut(), &path).map(|stat| (path, stat)))
        .and_then(|(path, stat)| if stat.kind == FileKind::Directory { Ok(path) } else { Err(Error::NotDirectory) });
    match found {
        Ok(path) => {
            let old = core::mem::replace(&mut shell.cwd, path);
            shell.set("OLDPWD", old);
            if tell {
                return print(shell, streams, &format!("{}\n", shell.cwd));
            }
            0
        }
        Err(error) => {
            shell.complain_to(streams, format_args!("cd: {word}: {}", reason(error)));
            1
        }
    }
}

fn pwd(shell: &mut Shell, _: &[String], streams: &Streams) -> u8 {
    print(shell, streams, &format!("{}\n", shell.cwd))
}

fn exit(shell: &mut Shell, arguments: &[String], streams: &Streams) -> u8 {
    let status = match arguments.first().map(|word| word.parse::<u64>()) {
        None => shell.status,
        Some(Ok(status)) => (status & 0xff) as u8,
        Some(Err(_)) => {
            shell.complain_to(streams, format_args!("exit: numeric argument required"));
            2
        }
    };
    shell.exit = Some(status);
    status
}

fn export(shell: &mut Shell, arguments: &[String], streams: &Streams) -> u8 {
    if arguments.is_empty() {
        let line = |(name, v): (&String, &Variable)| format!("export {name}={}\n", quote::quoted(&v.value));
        let text: String = shell.variables.iter().filter(|(_, v)| v.exported).map(line).collect();
        return print(shell, streams, &text);
    }
    let mut status = 0;
    for word in arguments {
        let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        if !is_name(name) {
            shell.complain_to(streams, format_args!("export: {name}: not a variable's name"));
            status = 1;
            continue;
        }
        let variable = shell.variables.entry(name.into()).or_default();
        variable.exported = true;
        if let Some(value) = value {
            variable.value = value.into();
        }
    }
    status
}

fn unset(shell: &mut Shell, arguments: &[String], _: &Streams) -> u8 {
    for name in arguments.iter().filter(|name| is_name(name)) {
        shell.variables.remove(name);
    }
    0
}

fn set(shell: &mut Shell, arguments: &[String], streams: &Streams) -> u8 {
    match arguments {
        [] => {
            let line = |(name, v): (&String, &Variable)| format!("{name}={}\n", quote::quoted(&v.value));
            let text: String = shell.variables.iter().filter(|(name, _)| is_name(name)).map(line).collect();
            print(shell, streams, &text)
        }
        [dashes, rest @ ..] if dashes == "--" => {
            shell.positional = rest.to_vec();
            0
        }
        [option, ..] if option.starts_with(['-', '+']) => {
            shell.complain_to(streams, format_args!("set: {option}: options are not supported yet"));
            2
        }
        all => {
            shell.positional = all.to_vec();
            0
        }
    }
}

fn shift(shell: &mut Shell, arguments: &[String], streams: &Streams) -> u8 {
    let count = arguments.first().map_or(Ok(1), |word| word.parse::<usize>());
    match count {
        Ok(count) if count <= shell.positional.len() => {
            shell.positional.drain(..count);
            0
        }
        _ => {
            shell.complain_to(streams, format_args!("shift: can't shift that many"));
            1
        }
    }
}

fn wait(shell: &mut Shell, arguments: &[String], streams: &Streams) -> u8 {
    if arguments.is_empty() {
        for process in core::mem::take(&mut shell.background) {
            program::finish(shell, &format!("{process}"), process, streams);
        }
        return 0;
    }
    let mut status = 0;
    for word in arguments {
        let process = word.parse::<u64>().ok().filter(|id| shell.background.contains(id));
        status = match process {
            Some(process) => {
                shell.background.retain(|id| *id != process);
                program::finish(shell, word, process, streams)
            }
            None => {
                shell.complain_to(streams, format_args!("wait: {word}: not a child of this shell"));
                program::NOT_FOUND
            }
        };
    }
    status
}

fn time(shell: &mut Shell, arguments: &[String], streams: &Streams) -> u8 {
    let start = shell.system.now_ns();
    let status = shell.run_words(arguments, streams);
    let ms = shell.system.now_ns().saturating_sub(start) / 1_000_000;
    let [_, _, err] = streams;
    let _ = err.write_all(format!("real {}.{:03}s\n", ms / 1000, ms % 1000).as_bytes());
    status
}

/// The longest script.
const LONGEST: usize = 4 << 20;

/// A file's text. Errors: the server's; `FileTooLarge`; `NotExecutable` for what is no text.
pub fn text_of(shell: &mut Shell, word: &str) -> scheme::Result<String> {
    let path = paths::absolute(&shell.cwd, word)?;
    if view::is_directory(shell.system.as_mut(), &path) {
        return Err(Error::IsDirectory);
    }
    let stream = shell.system.open(&path, OpenFlags::READ)?;
    let mut text = Vec::new();
    let mut piece = alloc::vec![0; 4096];
    loop {
        match stream.read(&mut piece)? {
            0 => return String::from_utf8(text).map_err(|_| Error::NotExecutable),
            length => text.extend_from_slice(piece.get(..length).unwrap_or(&[])),
        }
        if text.len() > LONGEST {
            return Err(Error::FileTooLarge);
        }
    }
}

fn source(shell: &mut Shell, arguments: &[String], streams: &Streams) -> u8 {
    let Some(word) = arguments.first() else {
        shell.complain_to(streams, format_args!(".: a file's name is missing"));
        return 2;
    };
    match text_of(shell, word) {
        Ok(text) => shell.run(&text),
        Err(error) => {
            shell.complain_to(streams, format_args!(".: {word}: {}", reason(error)));
            1
        }
    }
}

fn help(shell: &mut Shell, _: &[String], streams: &Streams) -> u8 {
    let mut lines: Vec<String> = COMMANDS.iter().map(|c| format!("{:<10} {} - {}", c.name, c.usage, c.about)).collect();
    lines.extend(BUILTINS.iter().map(|(name, about, _)| format!("{name:<10} {about}")));
    lines.sort();
    lines.push("Anything else is a program: ./PATH, /PATH, SCHEME:PATH, or a name in initfs:bin.\n".into());
    print(shell, streams, &lines.join("\n"))
}

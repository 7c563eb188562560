//! The commands that run inside the shell, one file for each small family.
//!
//! - [`ls`], [`text`] (cat, head, wc, cmp, echo), [`copy`] (cp, mv), [`remove`] (rm, rmdir), [`make`] (mkdir, touch)
//! - [`process`] (ps, kill, caps, quota), [`services`], [`audit`], [`power`] (reboot, poweroff)
//! - [`volumes`] (mount, df, sync), [`memory`] (free), [`log`] (dmesg), [`digest`] (sha256sum), [`time`] (sleep, uptime, clear)
//! - [`condition`] (test, `[`)

pub mod audit;
pub mod condition;
pub mod copy;
pub mod digest;
pub mod log;
pub mod ls;
pub mod make;
pub mod memory;
pub mod power;
pub mod process;
pub mod remove;
pub mod services;
pub mod text;
pub mod time;
pub mod upgrade;
pub mod volumes;

use crate::context::{Context, Options};
use alloc::string::String;
use core::fmt::Write;
use core::ops::RangeInclusive;

/// A command.
pub struct Command {
    /// What it is called.
    pub name: &'static str,
    /// Its option letters, as [`Options::parse`] wants them; `None`: it reads its arguments itself.
    pub options: Option<&'static str>,
    /// How many operands it takes.
    pub operands: RangeInclusive<usize>,
    /// What follows its name in the usage line.
    pub usage: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Does it.
    pub run: fn(&mut Context<'_>, &Options<'_>),
}

const ANY: usize = usize::MAX;

/// One row of the table.
const fn row(
    name: &'static str,
    options: &'static str,
    operands: RangeInclusive<usize>,
    usage: &'static str,
    about: &'static str,
    run: fn(&mut Context<'_>, &Options<'_>),
) -> Command {
    Command { name, options: Some(options), operands, usage, about, run }
}

/// One row whose command reads its arguments itself.
const fn raw(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: fn(&mut Context<'_>, &Options<'_>),
) -> Command {
    Command { name, options: None, operands: 0..=ANY, usage, about, run }
}

/// All commands, by name.
pub const COMMANDS: &[Command] = &[
    raw("[", "EXPRESSION ]", "tell by the exit status whether an expression is true", condition::bracket),
    row(
        "audit",
        "dn:",
        0..=0,
        "[-d] [-n LINES]",
        "tell what the security policy decided, or with -d denied",
        audit::audit,
    ),
    row("caps", "", 1..=1, "PID|NAME", "list a process's capabilities", process::caps),
    row("cat", "u", 0..=ANY, "[FILE…]", "write files to standard output", text::cat),
    row("clear", "", 0..=0, "", "clear the screen", time::clear),
    row("cmp", "s", 2..=2, "[-s] FILE FILE", "tell where two files differ", text::cmp),
    row("cp", "rR", 2..=ANY, "[-r] SOURCE… TARGET", "copy files and, with -r, directories", copy::cp),
    row("df", "hk", 0..=ANY, "[PATH…]", "tell how full file systems are", volumes::df),
    row("dmesg", "", 0..=0, "", "write the kernel's log", log::dmesg),
    raw("echo", "[-n] [WORD…]", "write words", text::echo),
    row("free", "", 0..=0, "", "tell how much memory is used", memory::free),
    row("head", "n:c:", 0..=ANY, "[-n LINES|-c BYTES] [FILE…]", "write the beginning of files", text::head),
    row("kill", "", 1..=ANY, "NAME|PID…", "end services or processes", process::kill),
    row("ls", "la1d", 0..=ANY, "[-lad1] [PATH…]", "list directories; `ls scheme:` lists schemes", ls::ls),
    row("mkdir", "p", 1..=ANY, "[-p] DIRECTORY…", "make directories", make::mkdir),
    row("mount", "", 0..=0, "", "list file systems and where they appear", volumes::mount),
    row("mv", "f", 2..=ANY, "SOURCE… TARGET", "rename or move", copy::mv),
    row("poweroff", "", 0..=0, "", "switch the machine off", power::poweroff),
    row("ps", "", 0..=0, "", "list processes; memory is that of their accounts", process::ps),
    row("quota", "", 1..=1, "PID|NAME", "tell what a process's account is used for", process::quota),
    row("reboot", "", 0..=0, "", "start the machine anew", power::reboot),
    row("rm", "rRf", 0..=ANY, "[-rf] PATH…", "remove files and, with -r, directories", remove::rm),
    row("rmdir", "", 1..=ANY, "DIRECTORY…", "remove empty directories", remove::rmdir),
    row("services", "", 0..=ANY, "[NAME…]", "list services, or tell all about some", services::services),
    row("sha256sum", "", 0..=ANY, "[FILE…]", "write SHA-256 sums", digest::sha256sum),
    row("sleep", "", 1..=ANY, "SECONDS…", "wait", time::sleep),
    row("sync", "", 0..=ANY, "[PATH…]", "wait until what was written is on its medium", volumes::sync),
    raw("test", "EXPRESSION", "tell by the exit status whether an expression is true", condition::test),
    row("touch", "c", 1..=ANY, "[-c] FILE…", "make files that are not there", make::touch),
    row("upgrade", "", 2..=2, "SERVICE FILE", "replace a service's program while its clients run", upgrade::upgrade),
    row("uptime", "", 0..=0, "", "tell how long the machine runs", time::uptime),
    row("wc", "lwc", 0..=ANY, "[-lwc] [FILE…]", "count lines, words and bytes", text::wc),
];

/// The command with this name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// Runs a command; its exit status. Wrong usage is 2.
pub fn run(command: &Command, mut context: Context<'_>, arguments: &[String]) -> u8 {
    if arguments.first().is_some_and(|a| a == "--help") && command.name != "[" {
        let _ = writeln!(context.out, "usage: {} {}\n{}", command.name, command.usage, command.about);
        return context.finish();
    }
    let parsed = match command.options {
        Some(known) => Options::parse(arguments, known),
        None => Ok(Options::raw(arguments)),
    };
    let wrong = match &parsed {
        Err(message) => Some(message.as_str()),
        Ok(options) if options.operands.len() < *command.operands.start() => Some("missing operand"),
        Ok(options) if options.operands.len() > *command.operands.end() => Some("too many operands"),
        Ok(_) => None,
    };
    if let Some(message) = wrong {
        context.complain(format_args!("{message}\nusage: {} {}", command.name, command.usage));
        context.status = 2;
    } else if let Ok(options) = &parsed {
        (command.run)(&mut context, options);
    }
    context.finish()
}

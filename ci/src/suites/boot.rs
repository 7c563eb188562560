//! The image, booted as a user would, to the prompt, on several machines.
//!
//! The prompt has to come on the serial console and on the screen, where every cell must be the
//! console font's glyph to the pixel; then a command typed there has to be answered.

use std::path::Path;
use std::time::Duration;

use crate::capture::Capture;
use crate::context::{scratch, Context, Verdict};
use crate::deadline::Deadline;
use crate::emulator::Emulator;
use crate::machine::{Machine, Platform};
use crate::runner::{Unit, Work};
use crate::screen::{Picture, UNKNOWN};
use crate::suites::PROMPT;

/// How long firmware and system may take to the prompt: seconds when alone, much more on a
/// busy host.
const BOOT: Duration = Duration::from_secs(120);

/// Every chipset with every number of processors and every size of memory.
pub fn units() -> Vec<Unit> {
    let mut units = Vec::new();
    for (platform, chipset) in [(Platform::Q35, "q35"), (Platform::Pc, "pc")] {
        for cpus in [1, 4] {
            for memory in ["128M", "8G"] {
                units.push(Unit {
                    name: format!("the image boots to the prompt on {chipset} with {cpus} processors and {memory}"),
                    weight: 1, // the other processors only wait
                    long: false,
                    work: Work::Alone(Box::new(move |context| {
                        let machine = Machine { platform, cpus, memory: memory.into(), ..context.firmware() };
                        to_the_prompt(&machine)
                    })),
                });
            }
        }
    }
    units.push(Unit {
        name: "a direct boot reaches the prompt without a screen".into(),
        weight: 1,
        long: false,
        work: Work::Alone(Box::new(direct)),
    });
    units
}

fn direct(context: &Context) -> Verdict {
    let mut machine = context.direct();
    machine.extra.extend(["-vga", "none"].map(String::from));
    let deadline = Deadline::after(BOOT);
    let mut emulator = start(&machine, deadline)?;
    on_the_line(&mut emulator, deadline).map_err(|reason| with_log(&emulator, &reason))
}

fn to_the_prompt(machine: &Machine) -> Verdict {
    let deadline = Deadline::after(BOOT);
    let mut emulator = start(machine, deadline)?;
    on_the_line(&mut emulator, deadline)
        .and_then(|()| on_the_screen(&mut emulator, deadline))
        .map_err(|reason| with_log(&emulator, &reason))
}

fn start(machine: &Machine, deadline: Deadline) -> Result<Emulator, String> {
    let mut emulator = Emulator::start(machine, deadline, Box::new(|_| {})).map_err(|error| error.to_string())?;
    // The firmware writes on the second port too; unread, it would wait.
    if let Some(agent) = emulator.take_agent() {
        Capture::drain(agent, |_| {});
    }
    Ok(emulator)
}

/// The prompt comes, a command typed at it is answered, and the prompt comes again.
fn on_the_line(emulator: &mut Emulator, deadline: Deadline) -> Verdict {
    let console = emulator.console().clone();
    let prompt = console.wait_for(PROMPT, 0, deadline).map_err(|error| error.to_string())?;
    emulator.type_text("echo it\" \"works\r").map_err(|error| error.to_string())?;
    let answer = console.wait_for("\nit works", prompt, deadline).map_err(|error| error.to_string())?;
    console.wait_for(PROMPT, answer, deadline).map(drop).map_err(|error| error.to_string())
}

/// What was typed and answered stands on the screen too, and a fresh prompt last.
fn on_the_screen(emulator: &mut Emulator, deadline: Deadline) -> Verdict {
    let folder = scratch()?;
    let file = folder.path().join("screen.png");
    // The screen is painted after the line is written: look until it shows it.
    let mut seen = vec![];
    while !deadline.passed() {
        emulator.qmp().screendump(&file).map_err(|error| error.to_string())?;
        seen = lines(&file)?;
        let text: Vec<&str> = seen.iter().map(|line| line.trim_end()).filter(|line| !line.is_empty()).collect();
        let typed = format!("{PROMPT}echo it\" \"works");
        // The last line may end in a cursor: a cell of its own that is no glyph.
        let prompt = |line: &&str| line.trim_end_matches(UNKNOWN).trim_end() == PROMPT.trim_end();
        if text.last().is_some_and(prompt) && text.contains(&typed.as_str()) && text.contains(&"it works") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(format!("the prompt is not on the screen, which shows:\n{}", seen.join("\n")))
}

fn lines(file: &Path) -> Result<Vec<String>, String> {
    let font = console::font::Font::new();
    let picture = Picture::load(file).map_err(|error| error.to_string())?;
    Ok(picture.text((0, 0), |character| Some(font.rows(character))))
}

fn with_log(emulator: &Emulator, reason: &str) -> String {
    format!(
        "{reason}\n-- console\n{}\n-- kernel log\n{}\n-- emulator\n{}",
        emulator.console().tail(20),
        emulator.log().tail(40),
        emulator.errors().tail(5),
    )
}

//! `mk/run`'s contract, tried on a real emulator with a boot sector as guest.
//!
//! The system itself is tried by `ci-tests`; here it is the harness that is on trial: statuses,
//! deadlines, exact bytes, and that nothing is left running. Each test boots in about a second.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ci::sector::{Script, CONSOLE, LOG};
use tempfile::TempDir;

/// A folder with a boot sector, and the words that boot it.
struct Stage {
    folder: TempDir,
}

impl Stage {
    fn new(script: &Script) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        script.save(&folder.path().join("sector")).expect("a boot sector");
        Self { folder }
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mk-run"));
        command.arg("--sector").arg(self.folder.path().join("sector")).args(options).args(["--", "true"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, options: &[&str]) -> Output {
        self.command(options).output().expect("mk-run")
    }

    /// How many emulators run with this stage's boot sector.
    fn emulators(&self) -> usize {
        let sector = self.folder.path().join("sector").display().to_string();
        std::fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter(|entry| {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                line.starts_with(b"qemu-system") && String::from_utf8_lossy(&line).contains(&sector)
            })
            .count()
    }

    fn wait_for_emulators(&self, count: usize) {
        let limit = Instant::now() + Duration::from_secs(30);
        while self.emulators() != count {
            assert!(Instant::now() < limit, "{} emulators, not {count}", self.emulators());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn ready() -> Script {
    Script::new().frame(b'R', b"")
}

#[test]
fn output_is_exact_and_the_status_is_the_commands() {
    let bytes = b"\x00\x1e\r\n\xff\x1e\x04\n\n";
    let script = Script::new()
        .write(CONSOLE, b"noise")
        .frame(b'R', b"")
        .frame(b'O', bytes)
        .frame(b'E', b"complaint")
        .frame(b'O', b"end")
        .frame(b'X', &42i32.to_le_bytes())
        .skip(4)
        .exit(0x10);
    let stage = Stage::new(&script);
    let output = stage.run(&[]);
    assert_eq!(output.stdout, [&bytes[..], b"end"].concat());
    assert_eq!(errors(&output), "complaint");
    assert_eq!(output.status.code(), Some(42));
    assert_eq!(stage.emulators(), 0);
}

#[test]
fn a_commands_own_124_is_told_from_a_timeout_by_its_silence() {
    let stage = Stage::new(&ready().frame(b'X', &124i32.to_le_bytes()).skip(4).exit(0x10));
    let output = stage.run(&[]);
    assert_eq!(output.status.code(), Some(124));
    assert!(!errors(&output).contains("mk/run: timeout"), "{}", errors(&output));
}

#[test]
fn a_command_that_never_ends_is_timed_out_with_what_it_wrote() {
    let stage = Stage::new(&ready().frame(b'O', b"so far").hang());
    let begun = Instant::now();
    let output = stage.run(&["--timeout", "4"]);
    assert_eq!(output.status.code(), Some(124));
    assert_eq!(output.stdout, b"so far");
    assert!(errors(&output).ends_with("mk/run: timeout\n"), "{}", errors(&output));
    assert!(begun.elapsed() < Duration::from_secs(12));
    assert_eq!(stage.emulators(), 0);
}

#[test]
fn a_panic_is_125_with_the_logs_tail_even_if_the_kernel_hangs() {
    let stage = Stage::new(&ready().write(LOG, b"all well\npanic: out of luck\n").hang());
    let output = stage.run(&[]);
    assert_eq!(output.status.code(), Some(125));
    assert!(errors(&output).contains("panic: out of luck"), "{}", errors(&output));
    assert!(errors(&output).ends_with("mk/run: panic\n"), "{}", errors(&output));
    assert_eq!(stage.emulators(), 0);
}

#[test]
fn a_panic_after_the_command_ended_is_still_a_panic() {
    let script = ready().frame(b'X', &0i32.to_le_bytes()).skip(4).write(LOG, b"panic: while writing back\n").exit(1);
    assert_eq!(Stage::new(&script).run(&[]).status.code(), Some(125));
}

#[test]
fn a_machine_that_resets_itself_is_no_boot() {
    let output = Stage::new(&Script::new().write(LOG, b"last words\n").triple_fault()).run(&[]);
    assert_eq!(output.status.code(), Some(125), "{}", errors(&output));
    assert!(errors(&output).contains("last words"), "{}", errors(&output));
    assert!(errors(&output).contains("mk/run: panic"), "{}", errors(&output));
}

#[test]
fn a_kernel_that_gives_up_without_a_word_is_no_boot() {
    let output = Stage::new(&Script::new().exit(3)).run(&[]);
    assert_eq!(output.status.code(), Some(125));
    assert!(errors(&output).contains("mk/run: panic"), "{}", errors(&output));
}

#[test]
fn a_guest_that_switches_itself_off_ends_its_command_well() {
    assert_eq!(Stage::new(&ready().exit(0x10)).run(&[]).status.code(), Some(0));
}

#[test]
fn a_service_that_is_down_is_126_and_named() {
    let output = Stage::new(&ready().frame(b'S', b"fat").hang()).run(&[]);
    assert_eq!(output.status.code(), Some(126));
    assert!(errors(&output).ends_with("mk/run: service fat\n"), "{}", errors(&output));
}

#[test]
fn noise_in_the_channel_is_never_taken_for_output() {
    let output = Stage::new(&ready().frame(b'O', b"good").write(ci::sector::AGENT, b"noise").hang()).run(&[]);
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(output.stdout, b"good");
}

#[test]
fn an_emulator_that_refuses_its_arguments_is_no_boot_in_its_own_words() {
    let output = Stage::new(&ready().hang()).run(&["--device", "no-such-device"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(errors(&output).contains("no-such-device"), "{}", errors(&output));
}

#[test]
fn standard_input_reaches_the_command_as_it_asks_and_then_its_end() {
    // Three bytes of room: a header and the three; room again: the end's header.
    let script = ready()
        .frame(b'N', &3u32.to_le_bytes())
        .echo(7)
        .frame(b'N', &9u32.to_le_bytes())
        .echo(4)
        .frame(b'X', &0i32.to_le_bytes())
        .skip(4)
        .exit(0x10);
    let stage = Stage::new(&script);
    let mut child = stage.command(&[]).stdin(Stdio::piped()).spawn().expect("mk-run");
    child.stdin.take().expect("stdin").write_all(b"a\x00b").expect("writing");
    let output = child.wait_with_output().expect("mk-run");
    assert_eq!(output.stdout, b"\x1eI\x03\x00a\x00b\x1eZ\x00\x00", "{}", errors(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn verbose_shows_the_log_on_standard_error_only() {
    let script = ready().write(LOG, b"kernel says\n").frame(b'X', &0i32.to_le_bytes()).skip(4).exit(0x10);
    let stage = Stage::new(&script);
    let output = stage.run(&["-v"]);
    assert!(output.stdout.is_empty());
    assert!(errors(&output).contains("kernel says\n"), "{}", errors(&output));
    assert!(!errors(&stage.run(&[])).contains("kernel says"));
}

#[test]
fn a_screenshot_is_taken_when_the_command_has_ended() {
    let script = ready().frame(b'X', &0i32.to_le_bytes()).skip(4).exit(0x10);
    let stage = Stage::new(&script);
    let file = stage.folder.path().join("shot.png");
    let output = stage.run(&["--screenshot", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let (width, height) = ci::screen::Picture::load(&file).expect("a picture").size();
    assert!(width >= 320 && height >= 200, "{width}x{height}");
}

#[test]
fn files_by_the_dozen_find_room_in_the_handouts() {
    let script = ready().frame(b'X', &0i32.to_le_bytes()).skip(4).exit(0x10);
    let stage = Stage::new(&script);
    let sector = stage.folder.path().join("sector").display().to_string();
    let adds: Vec<String> = (0..40).flat_map(|n| ["--add".into(), format!("{sector}:file{n}")]).collect();
    let output = stage.run(&adds.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
}

/// Starts a guest that hangs, does `end` to `mk-run` when it runs, and sees that nothing is left.
fn nothing_left_after(end: impl FnOnce(&Child)) -> std::process::ExitStatus {
    let stage = Stage::new(&ready().frame(b'O', b"up\n").hang());
    let mut child = stage.command(&[]).spawn().expect("mk-run");
    let mut up = [0; 3];
    child.stdout.as_mut().expect("stdout").read_exact(&mut up).expect("the guest is up");
    assert_eq!(stage.emulators(), 1);
    end(&child);
    let status = child.wait().expect("mk-run");
    stage.wait_for_emulators(0);
    status
}

fn signal(name: &str) -> impl FnOnce(&Child) + '_ {
    move |child| {
        // The shell's own kill: a bare Debian has no other.
        let line = format!("kill {name} {}", child.id());
        let status = Command::new("sh").args(["-c", &line]).status().expect("sh");
        assert!(status.success());
    }
}

/// The scratch folder of `mk-run`'s emulator: where the sockets on its command line are.
fn scratch_folder_of(child: u32) -> PathBuf {
    let child_of = |entry: std::fs::DirEntry| {
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        status.contains(&format!("PPid:\t{child}\n")).then_some(())?;
        let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let at = line.find("/tmp/limitless-")?;
        Some(Path::new("/tmp").join(line[at..].split('/').nth(2)?))
    };
    std::fs::read_dir("/proc").expect("/proc").flatten().find_map(child_of).expect("an emulator with its folder")
}

#[test]
fn nothing_is_left_after_ctrl_c_or_termination() {
    use std::os::unix::process::ExitStatusExt;
    for (name, number) in [("-INT", 2), ("-TERM", 15), ("-HUP", 1)] {
        let mut folder = None;
        let status = nothing_left_after(|child| {
            let path = scratch_folder_of(child.id());
            assert!(path.join("console").exists());
            folder = Some(path);
            signal(name)(child);
        });
        // Ended by the signal itself, so that a shell sees the interruption.
        assert_eq!(status.signal(), Some(number), "{name}: {status}");
        assert!(!folder.expect("a folder").exists(), "{name}");
    }
}

#[test]
fn nothing_is_left_even_when_we_are_killed_outright() {
    let mut folder = None;
    nothing_left_after(|child| {
        folder = Some(scratch_folder_of(child.id()));
        signal("-KILL")(child);
    });
    // Nobody was left to remove it.
    std::fs::remove_dir_all(folder.expect("a folder")).expect("removing it");
}

#[test]
fn nothing_is_left_when_nobody_reads_the_output() {
    // Asks for a byte after each piece, so that it can't end before the pipe is closed.
    let script = ready().frame(b'O', b"y\n").frame(b'N', &1u32.to_le_bytes()).skip(5).frame(b'O', b"y\n").hang();
    let stage = Stage::new(&script);
    let mut child = stage.command(&[]).stdin(Stdio::piped()).spawn().expect("mk-run");
    let mut stdout = child.stdout.take().expect("stdout");
    stdout.read_exact(&mut [0; 2]).expect("a line");
    drop(stdout);
    child.stdin.take().expect("stdin").write_all(b"x").expect("writing");
    assert_eq!(child.wait().expect("mk-run").code(), Some(141));
    stage.wait_for_emulators(0);
}

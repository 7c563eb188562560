//! The interpreter: statuses, chains, redirections, variables, background,
//! programs.

mod support;

use sh::system::Ended;
use support::World;

fn out(text: &str) -> String {
    let (_, out, err) = World::new().run(text);
    assert_eq!(err, "", "{text}");
    out
}

#[test]
fn chains_follow_statuses() {
    assert_eq!(out("true && echo a || echo b; false && echo c || echo d"), "a\nd\n");
    assert_eq!(out("false; echo $?; true; echo $?"), "1\n0\n");
    assert_eq!(out("false || false || echo x && echo y"), "x\ny\n");
    assert_eq!(World::new().run("echo a; exit 7; echo b"), (7, "a\n".into(), String::new()));
    assert_eq!(World::new().run("false; exit").0, 1);
    assert_eq!(World::new().run("false").0, 1);
}

#[test]
fn variables_and_parameters_expand() {
    assert_eq!(out("A=1 B='2  3'; echo $A \"$B\" $B; unset A; echo [$A]"), "1 2  3 2 3\n[]\n");
    let (_, out, _) =
        World::new().run_with("echo $# \"$@\" $0 $2; shift; echo $1; set -- x 'y z'; echo $#", b"", &["a", "b c"]);
    assert_eq!(out, "2 a b c sh b c\nb c\n2\n");
    let (_, text, _) = World::new().run("echo $$; A=outer; A=inner true; echo $A");
    assert_eq!(text, "42\nouter\n");
}

#[test]
fn redirections_lead_where_they_say() {
    let world = World::new();
    let (status, out, err) =
        world.run("echo one >f; echo two >>f; cat <f; ls nowhere 2>e >o; cat nowhere >both 2>&1; echo x >&2");
    assert_eq!((status, out.as_str(), err.as_str()), (0, "one\ntwo\n", "x\n"));
    assert_eq!(world.contents("/e").unwrap(), "ls: nowhere: No such file or directory\n");
    assert_eq!(world.contents("/o").unwrap(), "");
    assert_eq!(world.contents("/both").unwrap(), "cat: nowhere: No such file or directory\n");
    assert_eq!(world.run("echo lost >/dev/null").1, "");
}

#[test]
fn a_redirection_that_fails_stops_its_command() {
    let world = World::new();
    let (status, out, err) = world.run("echo x >no/such; echo $?; echo y </; echo z >&9");
    assert_eq!((status, out.as_str()), (1, "1\n"));
    assert_eq!(err, "sh: no/such: No such file or directory\nsh: /: Is a directory\nsh: 9: Bad file descriptor\n");
}

#[test]
fn programs_get_arguments_environment_and_streams() {
    let world = World::new();
    world.program("/prog", |arguments, environment, [input, out, err]| {
        let mut piece = [0; 10];
        let length = input.read(&mut piece).unwrap();
        let mut environment = environment.to_vec();
        environment.sort();
        let text = format!("{arguments:?} {} {environment:?}", String::from_utf8_lossy(&piece[..length]));
        out.write_all(text.as_bytes()).unwrap();
        err.write_all(b"oops").unwrap();
        Ended::Exit(3)
    });
    let (status, out, err) = world.run_with("X=1 ./prog a 'b c' >f; echo $?; cat f; echo [$X]", b"in", &[]);
    assert_eq!((status, err.as_str()), (0, "oops"));
    assert_eq!(out, "3\n[\"./prog\", \"a\", \"b c\"] in [\"HOME=/home\", \"PATH=initfs:bin\", \"PWD=/\", \"X=1\"][]\n");
}

#[test]
fn what_can_not_be_run_has_its_status() {
    let world = World::new();
    world.file("/data", b"\0\x01");
    world.file("/script", b"echo script $1\nexit 5");
    world.program("initfs:bin/tool", |_, _, _| Ended::Exit(0x1_02));
    let cases = [
        ("nothing", 127, "", "sh: nothing: command not found\n"),
        ("./nothing", 127, "", "sh: ./nothing: No such file or directory\n"),
        ("/", 126, "", "sh: /: Is a directory\n"),
        ("./data", 126, "", "sh: ./data: Exec format error\n"),
        ("./script x", 5, "script x\n", ""),
        ("tool", 2, "", ""),
        ("initfs:bin/tool", 2, "", ""),
        ("''", 127, "", "sh: : No such file or directory\n"),
    ];
    for (text, status, out, err) in cases {
        let got = world.run(text);
        if text == "''" {
            assert_eq!(got.0, status);
            continue;
        }
        assert_eq!(got, (status, out.into(), err.into()), "{text}");
    }
}

#[test]
fn a_program_that_dies_is_told_of() {
    let world = World::new();
    world.program("/killed", |_, _, _| Ended::Killed);
    world.program("/null", |_, _, _| Ended::Fault(14));
    world.program("/divide", |_, _, _| Ended::Fault(0));
    let (_, out, err) = world.run("./killed; echo $?; ./null; echo $?; ./divide; echo $?");
    assert_eq!(out, "137\n139\n136\n");
    assert!(err.contains("./killed: killed\n") && err.contains("./null: fault 14 (page fault)"), "{err}");
}

#[test]
fn background_jobs_are_waited_for() {
    let world = World::new();
    world.program("/job", |_, _, _| Ended::Exit(9));
    let (status, out, err) = world.run("./job & P=$!; wait $P; echo $?; wait; echo $?; wait $P");
    assert_eq!((status, out.as_str()), (127, "9\n0\n"));
    assert!(err.contains("not a child"), "{err}");
}

#[test]
fn a_chain_in_the_background_runs_in_a_shell_that_knows_the_same() {
    let world = World::new();
    let text = "A='a b'; cd /home 2>/dev/null; echo \"$A\" \"$@\" >f && cat <f || echo no & wait $!; echo $?";
    let (_, out, err) = world.run_with(text, b"typed", &["p q", "'"]);
    assert_eq!((out.as_str(), err.as_str()), ("a b p q '\n0\n", ""));
    // Its input is not the shell's.
    let (_, out, _) = world.run_with("cat & wait; cat", b"typed", &[]);
    assert_eq!(out, "typed");
}

#[test]
fn cd_moves_and_names_follow() {
    let world = World::new();
    world.directory("/home");
    world.file("/home/f", b"in home");
    world.directory("memory:d");
    let (status, out, err) = world.run(
        "cd; pwd; cat f; echo; cd memory:d; pwd; cd ..; pwd; cd - ; cd /disk/1; cd 1; pwd; cd nowhere; cd /home/f",
    );
    assert_eq!(out, "/home\nin home\nmemory:d\nmemory:\nmemory:d\n/disk/1/1\n");
    assert_eq!(
        (status, err.as_str()),
        (1, "sh: cd: nowhere: No such file or directory\nsh: cd: /home/f: Not a directory\n")
    );
}

#[test]
fn patterns_find_names() {
    let world = World::new();
    for name in ["/a.txt", "/b.txt", "memory:x1", "memory:x2"] {
        world.file(name, b"");
    }
    assert_eq!(world.run("echo *.txt memory:x* z*").1, "a.txt b.txt memory:x* z*\n");
    assert_eq!(world.run("cd memory:; echo x? /scheme/mem*").1, "x1 x2 /scheme/memory\n");
}

#[test]
fn a_text_that_makes_no_sense_is_refused_whole() {
    let (status, out, err) = World::new().run("echo a; echo 'b");
    assert_eq!((status, out.as_str(), err.as_str()), (2, "", "sh: syntax error: unfinished '\n"));
    assert_eq!(World::new().run("a | b").0, 2);
}

#[test]
fn time_tells_guest_time() {
    let (status, out, err) = World::new().run("time sleep 1.25; time false");
    assert_eq!((status, out.as_str(), err.as_str()), (1, "", "real 1.250s\nreal 0.000s\n"));
}

#[test]
fn files_of_commands_can_be_read_in() {
    let world = World::new();
    world.file("/lib", b"X=from-file\necho in\n");
    assert_eq!(world.run(". ./lib; echo $X").1, "in\nfrom-file\n");
    assert_eq!(world.run("export X=1; export; help").0, 0);
}

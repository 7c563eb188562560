//! The commands that run inside the shell.

mod support;

use support::World;

fn world() -> World {
    let world = World::new();
    world.directory("/d");
    world.file("/d/one", b"1\n");
    world.file("/d/.hidden", b"");
    world.directory("/d/sub");
    world.file("/d/sub/two", b"22");
    world
}

fn errors(text: &str, status: u8, message: &str) {
    let got = world().run(text);
    assert_eq!((got.0, got.2.as_str()), (status, message), "{text}");
}

#[test]
fn ls_lists_files_directories_and_schemes() {
    let world = world();
    assert_eq!(world.run("ls d").1, "one\nsub\n");
    assert_eq!(world.run("ls -a d").1, ".hidden\none\nsub\n");
    assert_eq!(world.run("ls d/one d").1, "d/one\n\nd:\none\nsub\n");
    assert_eq!(world.run("ls scheme:").1, "disk-1-1\nfile\ninitfs\nmemory\nservices\n");
    assert_eq!((world.run("ls /disk").1, world.run("ls /disk/1").1), ("1\n".into(), "1\n".into()));
    assert_eq!(world.run("ls /").1, "d\ndisk\nscheme\n");
    assert_eq!(world.run("ls -l d").1, "-rwxr-xr-x  1 2 ---------- ----- one\ndrwxr-xr-x  1 0 ---------- ----- sub\n");
    assert_eq!(world.run("ls -d d").1, "d\n");
    assert_eq!(world.run("ls /disk/2").0, 2);
}

#[test]
fn cat_and_its_kin_read_streams() {
    let world = world();
    let long: Vec<u8> = (0..300_000u32).map(|i| b"abc\n"[i as usize % 4]).collect();
    world.file("/long", &long);
    assert_eq!(world.run("cat long").1.into_bytes(), long);
    assert_eq!(world.run_with("cat d/one - d/sub/two", b"mid\n", &[]).1, "1\nmid\n22");
    assert_eq!(world.run("head -n 2 long; head -c 5 long").1, "abc\nabc\nabc\na");
    assert_eq!(
        world.run("wc long; wc -c <d/one; wc -lw d/one d/sub/two").1,
        "75000 75000 300000 long\n2\n1 1 d/one\n0 1 d/sub/two\n1 2 total\n"
    );
    assert_eq!(world.run("cp long copy && cmp long copy").0, 0);
    assert_eq!(
        world.run("echo -n ab >x; echo -n aX >y; cmp x y"),
        (1, "x y differ: byte 2, line 1\n".into(), String::new())
    );
    assert_eq!(world.run("echo -n aX >y; echo -n aXb >z; cmp y z").2, "cmp: EOF on y after byte 2\n");
    errors("cat nowhere d", 1, "cat: nowhere: No such file or directory\ncat: d: Is a directory\n");
}

#[test]
fn sums_are_those_of_the_standard() {
    let world = world();
    world.file("/empty", b"");
    world.file("/abc", b"abc");
    // FIPS 180-4's own examples.
    assert_eq!(
        world.run("sha256sum empty abc; sha256sum <abc").1,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty\n\
         ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  abc\n\
         ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n"
    );
}

#[test]
fn cp_copies_files_and_trees() {
    let world = world();
    assert_eq!(world.run("cp d/one new; cp new d/sub; cp -r d memory:; cp -r d d2; cp d/one new d2").2, "");
    assert_eq!(world.contents("/d/sub/new").unwrap(), "1\n");
    assert_eq!(world.contents("memory:d/sub/two").unwrap(), "22");
    assert!(world.has("/d2/.hidden") && world.has("/d2/new"));
    errors("cp d x", 1, "cp: -r not specified; omitting directory 'd'\n");
    errors("cp -r d d/sub/x", 1, "cp: cannot copy a directory, 'd', into itself, '/d/sub/x'\n");
    errors("cp d/one d/one", 1, "cp: /d/one: File exists\n");
    errors("cp d/one d/sub/two no", 1, "cp: target 'no': Not a directory\n");
    errors("cp a", 2, "cp: missing operand\nusage: cp [-r] SOURCE… TARGET\n");
}

#[test]
fn mv_renames_and_copies_across_schemes() {
    let world = world();
    assert_eq!(world.run("mv d/one d/uno; mv d memory:x; mv memory:x/sub/two .").2, "");
    assert_eq!(world.contents("memory:x/uno").unwrap(), "1\n");
    assert!(!world.has("/d") && !world.has("/d/sub") && world.has("/two") && !world.has("memory:x/sub/two"));
    errors("mv no x", 1, "mv: cannot move 'no' to '/x': No such file or directory\n");
}

#[test]
fn mv_takes_nothing_away_that_was_not_copied() {
    let world = world();
    world.0.borrow_mut().room = Some(1);
    let (status, _, err) = world.run("mv d/one memory:one");
    assert_eq!((status, err.as_str()), (1, "mv: memory:one: No space left on device\n"));
    assert_eq!(world.contents("/d/one").unwrap(), "1\n");
}

#[test]
fn rm_removes_what_was_asked_and_nothing_more() {
    let world = world();
    assert_eq!(world.run("rm -r d/sub; rm d/one; rm -f nowhere").2, "");
    assert!(!world.has("/d/sub/two") && !world.has("/d/one") && world.has("/d/.hidden"));
    errors("rm d", 1, "rm: cannot remove 'd': Is a directory\n");
    errors("rm nowhere", 1, "rm: cannot remove 'nowhere': No such file or directory\n");
    errors("rm -r /", 1, "rm: it is dangerous to operate on '/': skipping\n");
    errors("rm -r d/..", 1, "rm: refusing to remove '.' or '..' directory: skipping 'd/..'\n");
    errors("rmdir d", 1, "rmdir: failed to remove 'd': Directory not empty\n");
    assert_eq!(world.run("mkdir e && rmdir e && [ ! -e e ]").0, 0);
}

#[test]
fn mkdir_and_touch_make_things() {
    let world = world();
    assert_eq!(world.run("mkdir x; mkdir -p x/y/z x; touch x/f d/one; touch -c no").2, "");
    assert!(world.has("/x/y/z") && world.has("/x/f") && !world.has("/no"));
    assert_eq!(world.contents("/d/one").unwrap(), "1\n");
    errors("mkdir d", 1, "mkdir: cannot create directory 'd': File exists\n");
    errors("mkdir a/b", 1, "mkdir: cannot create directory 'a/b': No such file or directory\n");
}

#[test]
fn conditions_hold_or_not() {
    for (text, status) in [
        ("[ a = a ]", 0),
        ("[ a != a ]", 1),
        ("[ -d d ] && [ -f d/one ] && [ -s d/one ]", 0),
        ("[ -e nowhere ]", 1),
        ("[ 3 -lt 10 ]", 0),
        ("[ x -lt 1 ]", 2),
        ("[ ! -z '' ]", 1),
        ("test", 1),
        ("[ a", 2),
    ] {
        assert_eq!(world().run(text).0, status, "{text}");
    }
}

#[test]
fn the_system_is_looked_at_and_asked() {
    let world = world();
    assert!(
        world.run("ps").1.contains("    7 running    1      12K     2    9     1.234 init       init\n"),
        "{}",
        world.run("ps").1
    );
    assert!(
        world
            .run("caps init")
            .1
            .contains("   0x10002 Memory        r-------m                0x5       6        0      1 process 1\n"),
        "{}",
        world.run("caps init").1
    );
    assert_eq!(world.run("caps 8").2, "caps: 8: no such process\n");
    let account = "account 12, split from account 1\n\
        WHAT              USED    LIMIT\n\
        pages               75      256\n\
        threads              1        8\n\
        processes            1        -\n\
        Memory               4        -\n\
        mapping              7        -\n";
    assert_eq!(world.run("quota init").1, account);
    assert_eq!(world.run("quota 8").2, "quota: 8: no such process\n");
    assert_eq!(world.run("kill nobody console").2, "kill: nobody: no such service or process\n");
    assert_eq!(world.run("poweroff; reboot").0, 0);
    assert_eq!(world.run("echo build > b; upgrade fat-1-0 b").0, 0);
    let asked = world.0.borrow().asked.clone();
    assert_eq!(asked, [(4, "console".into()), (1, String::new()), (2, String::new()), (9, "fat-1-0 6".into())]);
    assert_eq!(world.run("upgrade nobody b").2, "upgrade: nobody: no such service, or it does not run\n");
    assert_eq!(world.run("touch e; upgrade fat-1-0 e").2, "upgrade: e: no program\n");
    assert_eq!(world.run("upgrade fat-1-0 nowhere").0, 1);
    assert_eq!(world.run("rm b e").0, 0);
    assert_eq!(world.run("dmesg").1, "kernel: hello\n");
    let df = world.run("df").1;
    assert!(df.contains("disk-1-1:              1024        768        256  75% /disk/1/1\n"), "{df}");
    assert!(world.run("mount").1.contains("disk-1-1: on /disk/1/1 (ro"));
    assert!(
        world.run("free").1.contains("Mem:             400          12         388         200"),
        "{}",
        world.run("free").1
    );
}

#[test]
fn services_are_a_table() {
    let world = world();
    world.directory("services:");
    world.file("services:console", b"name console\nstate ready\nrestarts 2\npid 5\nscheme console\nlabel tty\nmemory-pages 10\nmemory-limit 64\nholds com1 irq4\n");
    let (status, out, err) = world.run("services; services console nobody");
    assert_eq!((status, err.as_str()), (1, "services: nobody: No such file or directory\n"));
    assert!(out.contains("NAME     STATE  RESTARTS  PID  SCHEME   LABEL  MEMORY    HOLDS\nconsole  ready  2         5    console  tty    40K/256K  com1 irq4\n"), "{out}");
    assert!(out.contains("\nholds com1 irq4\n"), "{out}");
}

#[test]
fn the_audit_record_is_a_table() {
    let head = "TIME      VERDICT  KIND    PID  NAME  LABEL  OTHER  TYPE  RIGHTS  WHAT\n";
    let lines = [
        "lost      4        -       -    -     -      -      -     -       -\n",
        "0.000001  allowed  policy  2    init  init   -      -     m>m     -\n",
        "1.000002  denied   open    9    sh    shell  init   file  s>-     file:a\\x20b\n",
    ];
    let out = world().run("audit").1;
    assert_eq!(out, [head, lines[0], lines[1], lines[2]].concat(), "{out}");
    let last = world().run("audit -n 1").1;
    assert!(last.lines().count() == 2 && last.ends_with("file:a\\x20b\n"), "{last}");
    let denied = world().run("audit -d").1;
    assert!(denied.contains("denied") && !denied.contains("allowed"), "{denied}");
    let (status, _, err) = world().run("audit -n x");
    assert_eq!((status, err.as_str()), (1, "audit: -n: not a number of lines\n"));
}

#[test]
fn every_command_explains_itself_and_refuses_nonsense() {
    for command in sh::commands::COMMANDS {
        if command.name == "[" {
            continue;
        }
        let (status, out, _) = world().run(&format!("{} --help", command.name));
        assert!(status == 0 && out.starts_with(&format!("usage: {}", command.name)), "{}", command.name);
        if command.options.is_some() {
            assert_eq!(world().run(&format!("{} -Z", command.name)).0, 2, "{}", command.name);
        }
    }
}

#[test]
fn output_that_can_not_be_written_is_an_error() {
    let world = world();
    world.0.borrow_mut().room = Some(0);
    assert_eq!(world.run("echo x >f"), (1, String::new(), "echo: write error: No space left on device\n".into()));
    assert_eq!(world.run("cat d/one >f").2, "cat: write error: No space left on device\n");
}

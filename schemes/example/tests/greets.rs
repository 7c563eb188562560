//! The example on the host, through the same client and dispatcher as on the
//! machine.

use abi::Error;
use example::Hello;
use scheme::host::Harness;
use scheme::wire::OpenFlags;

#[test]
fn it_greets_whom_the_path_names_and_learns_another_greeting() {
    let harness = Harness::new(Hello::new());
    let root = harness.root();
    let file = root.open_at("world", OpenFlags::READ | OpenFlags::WRITE).unwrap();
    assert_eq!(file.read_to_end(100).unwrap(), b"Hello, world!\n");
    assert_eq!(file.stat().unwrap().size, 14);
    file.write(b"Good morning\n").unwrap();
    let other = root.open_at("you", OpenFlags::READ).unwrap();
    assert_eq!(other.read_to_end(100).unwrap(), b"Good morning, you!\n");
    assert_eq!(other.write(b"x"), Err(Error::PermissionDenied));
    assert_eq!(file.write(&[b'x'; 65]), Err(Error::BadArgument));
    assert_eq!(file.truncate(0), Err(Error::NotSupported));
}

#[test]
fn what_is_closed_is_forgotten() {
    let harness = Harness::new(Hello::new());
    let root = harness.root();
    for _ in 0..1000 {
        root.open_at("someone", OpenFlags::READ).unwrap();
    }
    assert_eq!(harness.open_sessions(), 1);
}

#[test]
fn after_a_restart_open_files_go_on_with_the_first_greeting() {
    let harness = Harness::with_keepsake(16 * 1024, Hello::new);
    let file = harness.root().open_at("world", OpenFlags::READ | OpenFlags::WRITE).unwrap();
    file.write(b"Hi").unwrap();
    harness.restart();
    // The session came back from the keepsake; the greeting was in the server's own memory.
    assert_eq!(file.read_at(0, &mut [0; 5]), Ok(5));
    assert_eq!(file.stat().unwrap().size, 14);
}

//! The notes that a rename across sectors leaves until it has arrived.

mod support;

use fat::{Fat, NodeId};
use support::{assert_clean, fresh, mount, read_all, tree, write_new, Disk, Temp};

/// The places of notes on a disk, and the clusters they speak of.
fn notes(bytes: &[u8]) -> Vec<(usize, u16)> {
    (0..bytes.len())
        .step_by(32)
        .filter(|at| bytes[*at] == 0xe5 && bytes[at + 18..at + 20] == [0xe7, 0xff])
        .map(|at| (at, u16::from_le_bytes([bytes[at + 26], bytes[at + 27]])))
        .collect()
}

/// A FAT16 volume with two directories and a file in the first, before which some slots are free.
fn volume(temp: &Temp) -> (Disk, Fat<Disk>) {
    let disk = fresh(temp, "disk", 4 * 1024, &["-F", "16", "-s", "1"]);
    let mut fat = mount(&disk);
    fat.mkdir(NodeId::ROOT, "from").unwrap();
    fat.mkdir(NodeId::ROOT, "to").unwrap();
    let from = fat.lookup(NodeId::ROOT, "from").unwrap();
    write_new(&mut fat, from, "Stay name.text", b"").unwrap();
    write_new(&mut fat, from, "Some name.text", &[5; 2000]).unwrap();
    fat.unlink(from, "stay name.text").unwrap();
    fat.close(from).unwrap();
    fat.sync().unwrap();
    (disk, fat)
}

fn move_file(fat: &mut Fat<Disk>) {
    let from = fat.lookup(NodeId::ROOT, "from").unwrap();
    let to = fat.lookup(NodeId::ROOT, "to").unwrap();
    fat.rename(from, "some name.text", to, "Other name").unwrap();
    fat.close(from).unwrap();
    fat.close(to).unwrap();
}

/// The disk as it was before each write and after the last.
fn stages(mut bytes: Vec<u8>, log: &[(u64, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut all = vec![bytes.clone()];
    for (offset, data) in log {
        bytes[*offset as usize..*offset as usize + data.len()].copy_from_slice(data);
        all.push(bytes.clone());
    }
    all
}

#[test]
fn a_note_is_wiped_before_its_clusters_are_freed() {
    let temp = Temp::new("notes-wiped");
    let (disk, mut fat) = volume(&temp);
    let before = disk.bytes();
    disk.state().log = Some(Vec::new());
    move_file(&mut fat);
    let to = fat.lookup(NodeId::ROOT, "to").unwrap();
    fat.unlink(to, "other name").unwrap();
    fat.close(to).unwrap();
    fat.unmount().unwrap();
    let log = disk.state().log.take().unwrap();
    let stages = stages(before, &log);
    assert!(stages.iter().any(|bytes| !notes(bytes).is_empty()), "there was a note at some time");
    for bytes in &stages {
        for (_, cluster) in notes(bytes) {
            let reserved = usize::from(u16::from_le_bytes([bytes[14], bytes[15]]));
            let cell = reserved * 512 + usize::from(cluster) * 2;
            assert_ne!(bytes[cell..cell + 2], [0, 0], "a note speaks of a free cluster");
        }
    }
    assert!(notes(&disk.bytes()).is_empty(), "no note outlives a sync");
    assert_clean(&temp, &disk);
}

#[test]
fn a_file_comes_back_beside_one_that_took_its_name() {
    let temp = Temp::new("notes-name");
    let (disk, mut fat) = volume(&temp);
    let before = disk.bytes();
    disk.state().log = Some(Vec::new());
    move_file(&mut fat);
    fat.unmount().unwrap();
    let log = disk.state().log.take().unwrap();
    // The old entry is gone, the new one did not come.
    let mut cut = stages(before, &log).into_iter().find(|bytes| !notes(bytes).is_empty()).unwrap();
    let (note, _) = notes(&cut)[0];
    // As if the disk had been clean, so that the name can be given away with the note in place.
    cut[0x25] &= !1;
    let disk = Disk::new(cut);
    let mut fat = mount(&disk);
    let from = fat.lookup(NodeId::ROOT, "from").unwrap();
    write_new(&mut fat, from, "some name.text", b"another").unwrap();
    fat.unmount().unwrap();
    assert_eq!(notes(&disk.bytes())[0].0, note, "the new file did not take the note's slot");
    disk.state().bytes[0x25] |= 1;

    let mut fat = mount(&disk);
    assert!(fat.was_dirty());
    let found = tree(&mut fat, 100).unwrap();
    let files: Vec<_> =
        found.iter().filter_map(|(path, bytes)| bytes.as_ref().map(|bytes| (path.as_str(), bytes.len()))).collect();
    assert_eq!(files, [("/from/Some name.text (recovered)", 2000), ("/from/some name.text", 7)]);
    fat.unmount().unwrap();
    assert!(notes(&disk.bytes()).is_empty());
    disk.state().bytes[0x25] &= !1;
    assert_clean(&temp, &disk);
}

#[test]
fn a_note_on_a_clean_volume_means_nothing() {
    let temp = Temp::new("notes-clean");
    let (disk, fat) = volume(&temp);
    fat.unmount().unwrap();
    let mut bytes = disk.bytes();
    // A freed slot that looks like one, made by hand from the file's entry.
    let entry = (0..bytes.len()).step_by(32).find(|at| bytes[*at..].starts_with(b"SOMENA")).unwrap();
    let mut slot = bytes[entry..entry + 32].to_vec();
    slot[0] = 0xe5;
    slot[12] |= 0xa0;
    slot[18..20].copy_from_slice(&[0xe7, 0xff]);
    bytes[entry + 32..entry + 64].copy_from_slice(&slot);
    for dirty in [0, 1] {
        let mut bytes = bytes.clone();
        bytes[0x25] |= dirty;
        let disk = Disk::new(bytes);
        let mut fat = mount(&disk);
        assert_eq!(disk.state().writes > 0, dirty == 1, "only a dirty volume is put right");
        let found = tree(&mut fat, 100).unwrap();
        assert_eq!(found.len(), 3, "what an entry claims is not brought back");
        let id = fat.resolve(NodeId::ROOT, "from/some name.text").unwrap();
        assert_eq!(read_all(&mut fat, id).unwrap(), [5; 2000]);
    }
}

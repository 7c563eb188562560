//! A world in memory: files, schemes, programs that are functions, a shell
//! started by a shell.

use scheme::entry::DirEntry;
use scheme::rt::calls::{CapabilityInfo, ProcessInfo};
use scheme::rt::quota::QuotaUsage;
use scheme::stat::{FileKind, Space, Stat};
use scheme::wire::OpenFlags;
use scheme::{Error, Result};
use sh::paths::{join, of_scheme, parent};
use sh::shell::Shell;
use sh::system::{Ended, Memory, Program, Shared, Stream, Streams, System};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The audit record of this world, which comes a line at a time.
const AUDIT: [&str; 3] = [
    "lost 4 - - - - - - - -\n",
    "0.000001 allowed policy 2 init init - - m>m -\n",
    "1.000002 denied open 9 sh shell init file s>- file:a\\x20b\n",
];

/// A file's bytes, shared by who has it open.
pub type Bytes = Rc<RefCell<Vec<u8>>>;
/// A program: arguments, environment, streams.
pub type Run = fn(&[String], &[String], &Streams) -> Ended;

#[derive(Clone)]
enum Node {
    File(Bytes),
    Directory,
    Program(Run),
}

/// What there is.
#[derive(Default)]
pub struct State {
    nodes: BTreeMap<String, Node>,
    children: BTreeMap<u64, Ended>,
    /// What was asked of `services:`: command and input.
    pub asked: Vec<(u64, String)>,
    last: u64,
    now: u64,
    /// Writes that are still taken; the next one fails.
    pub room: Option<usize>,
}

/// The world; clones share it.
#[derive(Clone, Default)]
pub struct World(pub Rc<RefCell<State>>);

struct Opened {
    bytes: Bytes,
    at: Cell<usize>,
    append: bool,
    world: World,
}

impl Stream for Opened {
    fn read(&self, out: &mut [u8]) -> Result<usize> {
        let bytes = self.bytes.borrow();
        let rest = bytes.get(self.at.get()..).unwrap_or(&[]);
        // Never more than a little at once, as streams do.
        let length = rest.len().min(out.len()).min(1000);
        out[..length].copy_from_slice(&rest[..length]);
        self.at.set(self.at.get() + length);
        Ok(length)
    }
    fn write(&self, data: &[u8]) -> Result<usize> {
        if let Some(room) = &mut self.world.0.borrow_mut().room {
            *room = room.checked_sub(data.len()).ok_or(Error::NoSpace)?;
        }
        let mut bytes = self.bytes.borrow_mut();
        let at = if self.append { bytes.len() } else { self.at.get() };
        let length = data.len().min(700);
        let end = at + length;
        let size = bytes.len().max(end);
        bytes.resize(size, 0);
        bytes[at..end].copy_from_slice(&data[..length]);
        self.at.set(end);
        Ok(length)
    }
}

impl World {
    /// A world with `/`, `memory:`, `disk-1-1:` and the shell's program.
    pub fn new() -> World {
        let world = World::default();
        for root in ["/", "memory:", "disk-1-1:", "initfs:", "initfs:bin"] {
            world.0.borrow_mut().nodes.insert(root.into(), Node::Directory);
        }
        world.program("initfs:bin/sh", |_, _, _| Ended::Exit(99));
        world
    }

    pub fn program(&self, path: &str, run: Run) {
        self.0.borrow_mut().nodes.insert(path.into(), Node::Program(run));
    }

    pub fn file(&self, path: &str, data: &[u8]) {
        let bytes = Rc::new(RefCell::new(data.to_vec()));
        self.0.borrow_mut().nodes.insert(path.into(), Node::File(bytes));
    }

    pub fn directory(&self, path: &str) {
        self.0.borrow_mut().nodes.insert(path.into(), Node::Directory);
    }

    /// A file's contents; `None` where there is no file.
    pub fn contents(&self, path: &str) -> Option<String> {
        match self.0.borrow().nodes.get(path)? {
            Node::File(bytes) => Some(String::from_utf8_lossy(&bytes.borrow()).into_owned()),
            _ => None,
        }
    }

    pub fn has(&self, path: &str) -> bool {
        self.0.borrow().nodes.contains_key(path)
    }

    pub fn stream(&self, bytes: &Bytes) -> Shared {
        Rc::new(Opened { bytes: bytes.clone(), at: Cell::new(0), append: true, world: World::default() })
    }

    /// A path as this world keeps it: `/disk/1/1/x` is `disk-1-1:x`.
    fn key(path: &str) -> String {
        match scheme::path::resolve(path).unwrap() {
            (scheme, rest) if scheme == "file" => format!("/{rest}"),
            (scheme, rest) => format!("{scheme}:{}", rest.trim_start_matches('/')),
        }
    }

    fn node(&self, path: &str) -> Result<Node> {
        let key = World::key(path);
        if let Some(above) = parent(&key) {
            match self.0.borrow().nodes.get(&above) {
                Some(Node::Directory) => {}
                Some(_) => return Err(Error::NotDirectory),
                None => return Err(Error::NotFound),
            }
        }
        self.0.borrow().nodes.get(&key).cloned().ok_or(Error::NotFound)
    }
}

impl System for World {
    fn open(&mut self, path: &str, flags: OpenFlags) -> Result<Shared> {
        let bytes = match self.node(path) {
            Ok(Node::File(bytes)) => bytes,
            Ok(Node::Directory) => return Err(Error::IsDirectory),
            // The program's file: what its first bytes are matters only to who looks.
            Ok(Node::Program(_)) => Rc::new(RefCell::new(b"\x7fELF".to_vec())),
            Err(Error::NotFound) if flags.contains(OpenFlags::CREATE) => {
                let key = World::key(path);
                if !matches!(self.node(&parent(&key).unwrap()), Ok(Node::Directory)) {
                    return Err(Error::NotFound);
                }
                self.file(&key, b"");
                return self.open(path, flags);
            }
            Err(error) => return Err(error),
        };
        if flags.contains(OpenFlags::TRUNCATE) {
            bytes.borrow_mut().clear();
        }
        Ok(Rc::new(Opened { bytes, at: Cell::new(0), append: flags.contains(OpenFlags::APPEND), world: self.clone() }))
    }
    fn stat(&mut self, path: &str) -> Result<Stat> {
        let (kind, size) = match self.node(path)? {
            Node::File(bytes) => (FileKind::File, bytes.borrow().len() as u64),
            Node::Directory => (FileKind::Directory, 0),
            Node::Program(_) => (FileKind::File, 1),
        };
        Ok(Stat { kind, size, permissions: 0o755, links: 1, ..Stat::default() })
    }
    fn list(&mut self, path: &str) -> Result<Vec<DirEntry>> {
        if !matches!(self.node(path)?, Node::Directory) {
            return Err(Error::NotDirectory);
        }
        let key = World::key(path);
        let below: Vec<String> =
            self.0.borrow().nodes.keys().filter(|k| parent(k).as_deref() == Some(&key)).cloned().collect();
        let entry = |world: &mut World, full: &String| {
            let stat = world.stat(full).unwrap();
            DirEntry { name: sh::paths::last(full).into(), kind: stat.kind, size: stat.size, id: 1 }
        };
        Ok(below.iter().map(|full| entry(self, full)).collect())
    }
    fn mkdir(&mut self, path: &str) -> Result<()> {
        match self.node(path) {
            Ok(_) => Err(Error::Exists),
            Err(Error::NotFound) if self.has(&parent(&World::key(path)).unwrap_or_default()) => {
                self.directory(&World::key(path));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
    fn unlink(&mut self, path: &str, directory: bool) -> Result<()> {
        match (self.node(path)?, directory) {
            (Node::Directory, false) => return Err(Error::IsDirectory),
            (Node::Directory, true) if !self.list(path)?.is_empty() => return Err(Error::NotEmpty),
            (Node::File(_) | Node::Program(_), true) => return Err(Error::NotDirectory),
            _ => {}
        }
        self.0.borrow_mut().nodes.remove(&World::key(path));
        Ok(())
    }
    fn rename(&mut self, old: &str, new: &str) -> Result<()> {
        let (old, new) = (World::key(old), World::key(new));
        if of_scheme(&old).map(|s| s.0) != of_scheme(&new).map(|s| s.0) {
            return Err(Error::CrossDevice);
        }
        self.node(&old)?;
        let moved: Vec<String> =
            self.0.borrow().nodes.keys().filter(|k| sh::paths::is_below(k, &old)).cloned().collect();
        for key in moved {
            let rest = key[old.len()..].trim_start_matches('/');
            let to = if rest.is_empty() { new.clone() } else { join(&new, rest) };
            let node = self.0.borrow_mut().nodes.remove(&key).unwrap();
            self.0.borrow_mut().nodes.insert(to, node);
        }
        Ok(())
    }
    fn space(&mut self, path: &str) -> Result<Space> {
        match path {
            "disk-1-1:" => {
                Ok(Space { total: 1 << 20, free: 1 << 18, block_size: 512, longest_name: 255, read_only: true })
            }
            "memory:" => Err(Error::NotSupported),
            _ => Ok(Space { total: 4096, free: 4096, block_size: 4096, longest_name: 255, read_only: false }),
        }
    }
    fn sync(&mut self, _: &str) -> Result<()> {
        Ok(())
    }
    fn control(&mut self, path: &str, command: u64, at: u64, input: &[u8], _: usize) -> Result<(u64, Vec<u8>)> {
        if path == "audit:" {
            if command == scheme::services::AUDIT_END {
                return Ok((3, Vec::new()));
            }
            let lines = match command {
                scheme::services::AUDIT => &AUDIT[..],
                _ => &AUDIT[2..],
            };
            let line = lines.get(at as usize).copied().unwrap_or_default();
            return Ok((at + 1, line.as_bytes().to_vec()));
        }
        assert_eq!(path, "services:");
        if command == scheme::services::LABELS {
            return Ok((3, b"subject 0 default\nsubject 1 init\ntype 0 default\n".to_vec()));
        }
        if command == scheme::services::COUNTERS {
            let words: [u64; 5] = [0, 0, 0, 97, 100];
            return Ok((5, words.iter().flat_map(|word| word.to_le_bytes()).collect()));
        }
        let text = String::from_utf8(input.to_vec()).unwrap();
        if text == "nobody" {
            return Err(Error::NotFound);
        }
        self.0.borrow_mut().asked.push((command, text));
        Ok((0, Vec::new()))
    }
    fn upgrade(&mut self, service: &str, program: &[u8]) -> Result<()> {
        if service == "nobody" {
            return Err(Error::NotFound);
        }
        if program.is_empty() {
            return Err(Error::NotExecutable);
        }
        self.0
            .borrow_mut()
            .asked
            .push((scheme::services::UPGRADE, [service, " ", &program.len().to_string()].concat()));
        Ok(())
    }
    fn schemes(&mut self) -> Result<Vec<String>> {
        Ok(["disk-1-1", "file", "initfs", "memory", "services"].map(String::from).into())
    }
    fn spawn(&mut self, program: &Program<'_>) -> Result<u64> {
        let ended = match self.node(program.path)? {
            Node::Program(_) if program.path == "initfs:bin/sh" => Ended::Exit(u64::from(self.child(program))),
            Node::Program(run) => run(program.arguments, program.environment, program.streams),
            _ => return Err(Error::NotExecutable),
        };
        let mut state = self.0.borrow_mut();
        state.last += 1;
        let id = state.last;
        state.children.insert(id, ended);
        Ok(id)
    }
    fn wait(&mut self, process: u64) -> Result<Ended> {
        self.0.borrow_mut().children.remove(&process).ok_or(Error::NotFound)
    }
    fn processes(&mut self) -> Result<Vec<ProcessInfo>> {
        let info = ProcessInfo {
            id: 7,
            state: 0,
            code: 0,
            threads: 1,
            pages: 3,
            capabilities: 2,
            priority_limit: 9,
            run_ns: 1_234_000_000,
            name: "init".into(),
            label: 1,
        };
        Ok(vec![info])
    }
    fn capabilities(&mut self, _: u64) -> Result<Vec<CapabilityInfo>> {
        Ok(vec![CapabilityInfo {
            handle: scheme::Handle(0x1_0002),
            kind: scheme_kind(),
            rights: scheme::Rights::READ | scheme::Rights::MANAGE,
            badge: 5,
            object: 6,
            parent: scheme::Handle(0),
            parent_process: 1,
            messages: 0,
            origin: 1,
            object_type: 0,
        }])
    }
    fn account(&mut self, _: u64) -> Result<QuotaUsage> {
        Ok(QuotaUsage {
            account: 12,
            parent: 1,
            pages: (75, 256),
            threads: (1, 8),
            processes: (1, 0),
            objects: vec![("Memory", 4), ("Quota", 0), ("mapping", 7)],
        })
    }
    fn own_id(&mut self) -> u64 {
        42
    }
    fn now_ns(&mut self) -> u64 {
        self.0.borrow().now
    }
    fn sleep_ns(&mut self, length: u64) {
        self.0.borrow_mut().now += length;
    }
    fn memory(&mut self) -> Result<Memory> {
        Ok(Memory { total_pages: 100, charged_pages: 50 })
    }
    fn log(&mut self, position: u64, out: &mut [u8]) -> Result<(usize, u64)> {
        let line = b"kernel: hello\n";
        if position > 0 {
            return Ok((0, position));
        }
        out[..line.len()].copy_from_slice(line);
        Ok((line.len(), 1))
    }
}

fn scheme_kind() -> abi::Kind {
    abi::Kind::Memory
}

impl World {
    /// Runs the shell that a shell started.
    fn child(&self, program: &Program<'_>) -> u8 {
        let mut shell = Shell::new(Box::new(self.clone()), program.streams.clone(), program.environment);
        let mut rest = program.arguments.iter().skip(1).cloned();
        match rest.next() {
            Some(option) if option == "-c" => {
                let text = rest.next().unwrap();
                shell.name = rest.next().unwrap_or("sh".into());
                shell.positional = rest.collect();
                shell.run(&text)
            }
            Some(file) => {
                let text = self.contents(&World::key(&file)).unwrap();
                shell.positional = rest.collect();
                shell.run(&text)
            }
            None => 98,
        }
    }

    /// Runs a text in a fresh shell with this input; status, output and errors.
    pub fn run_with(&self, text: &str, input: &[u8], positional: &[&str]) -> (u8, String, String) {
        let pipes: [Bytes; 3] = [Rc::new(RefCell::new(input.to_vec())), Bytes::default(), Bytes::default()];
        let streams: Streams = [0, 1, 2].map(|i| self.stream(&pipes[i]));
        let mut shell = Shell::new(Box::new(self.clone()), streams, &["HOME=/home".into(), "PWD=/".into()]);
        shell.positional = positional.iter().map(|s| s.to_string()).collect();
        let status = shell.run(text);
        let text = |i: usize| String::from_utf8(pipes[i].borrow().clone()).unwrap();
        (status, text(1), text(2))
    }

    /// The same without input.
    pub fn run(&self, text: &str) -> (u8, String, String) {
        self.run_with(text, b"", &[])
    }
}

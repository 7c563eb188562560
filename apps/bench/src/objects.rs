//! Rows of memory, threads and processes: made and undone by plain kernel
//! calls.

use crate::counters::Counters;
use crate::measure::{FEW, MANY};
use crate::raw;
use crate::row::Row;
use abi::call::Call;
use abi::error::check;
use abi::memory::{MemoryFlags, Protection, PAGE_SIZE};
use abi::{Handle, Result};
use scheme::process::DEFAULT_PRIORITY;
use scheme::rt::{calls, memory};

/// Where pages are mapped that nobody else uses.
const FAR: u64 = 0x2000_0000_0000;
const SPACE: u64 = Handle::SELF_SPACE.word();
const READ: u64 = Protection::READ.bits() as u64;
const WRITE: u64 = (Protection::READ.bits() | Protection::WRITE.bits()) as u64;
/// Where a small process has its code, and the page that is its stack's and its IPC buffer.
const CODE: u64 = 0x40_0000;
const BUFFER: u64 = 0x50_0000;

/// All of them. Errors: the kernel's.
pub fn all(counters: &Counters, print: &mut dyn FnMut(&Row)) -> Result<()> {
    pages(counters, print)?;
    print(&threads(counters)?.to_reach(6000));
    print(&processes(counters)?.to_reach(25_000));
    Ok(())
}

/// A call that is to succeed; its first result. Errors: the call's.
pub fn done(call: Call, arguments: [u64; 6]) -> Result<u64> {
    let (status, [first, ..]) = raw::any(call, arguments);
    check(status).map(|()| first)
}

fn pages(counters: &Counters, print: &mut dyn FnMut(&Row)) -> Result<()> {
    let memory = calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty())?;
    calls::memory_write(memory, 0, &[1])?;
    let object = memory.word();
    let map = || done(Call::SpaceMap, [SPACE, object, FAR, 0, PAGE_SIZE, WRITE]).map(drop);
    let unmap = || done(Call::SpaceUnmap, [SPACE, FAR, PAGE_SIZE, 0, 0, 0]).map(drop);
    let protect = |to: u64| done(Call::SpaceProtect, [SPACE, FAR, PAGE_SIZE, to, 0, 0]).map(drop);
    print(&counters.each("map one page", MANY, map, unmap)?.to_reach(500));
    let touch = || {
        raw::load(FAR);
        Ok(())
    };
    print(&counters.each("map one page, and its first use", MANY, || map().and_then(|()| touch()), unmap)?);
    let stored = || {
        protect(WRITE)?;
        raw::store(FAR, 1);
        Ok(())
    };
    map()?;
    stored()?;
    print(&counters.each("protect one page that was written to", MANY, || protect(READ), stored)?.to_reach(400));
    unmap()?;
    calls::close(memory);
    Ok(())
}

/// A thread that says that it ran, and ends; another waits for that.
fn threads(counters: &Counters) -> Result<Row> {
    let bell = calls::notification_create(Handle::SELF_QUOTA)?;
    let (page, mapping) = memory::create(Handle::SELF_QUOTA, PAGE_SIZE, MemoryFlags::empty())?;
    let buffer = mapping.address() as u64;
    let row = counters.run("thread: create, start, end, join", MANY, || {
        let start = [Handle::SELF_PROCESS.word(), raw::brief(), buffer, bell.word(), buffer, DEFAULT_PRIORITY];
        let thread = done(Call::ThreadCreate, start)?;
        done(Call::Wait, [bell.word(), 0, 0, 0, 0, 0])?;
        done(Call::Close, [thread, 0, 0, 0, 0, 0]).map(drop)
    });
    drop(mapping);
    [page, bell].into_iter().for_each(calls::close);
    row
}

/// A process of one thread that ends at once: made with a page of code that is there, and a page of its own.
fn processes(counters: &Counters) -> Result<Row> {
    let code = calls::memory_create(Handle::SELF_QUOTA, 1, MemoryFlags::empty())?;
    calls::memory_write(code, 0, &raw::exit_code())?;
    let bell = calls::notification_create(Handle::SELF_QUOTA)?;
    let name = b"brief";
    let row = counters.run("process of one thread: create, start, end, destroy", FEW, || {
        let quota = Handle::SELF_QUOTA.word();
        let (status, [process, space, _]) =
            raw::any(Call::ProcessCreate, [quota, name.as_ptr() as u64, name.len() as u64, DEFAULT_PRIORITY, 0, 0]);
        check(status)?;
        let page = done(Call::MemoryCreate, [quota, 1, 0, 0, 0, 0])?;
        let run = u64::from((Protection::READ | Protection::EXECUTE).bits());
        done(Call::SpaceMap, [space, code.word(), CODE, 0, PAGE_SIZE, run])?;
        done(Call::SpaceMap, [space, page, BUFFER, 0, PAGE_SIZE, WRITE])?;
        done(Call::ProcessWatch, [process, bell.word(), 1, 0, 0, 0])?;
        let start = [process, CODE, BUFFER + PAGE_SIZE, 0, BUFFER, DEFAULT_PRIORITY];
        let thread = done(Call::ThreadCreate, start)?;
        done(Call::Wait, [bell.word(), 0, 0, 0, 0, 0])?;
        [thread, page, space, process].into_iter().try_for_each(|h| done(Call::Close, [h, 0, 0, 0, 0, 0]).map(drop))
    });
    [code, bell].into_iter().for_each(calls::close);
    row
}

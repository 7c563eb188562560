//! The second process: it answers calls, copies or maps what is lent, answers
//! faults.

use crate::raw;
use abi::call::Call;
use abi::message::LeaseAccess;
use abi::thread::FAULT_TAG;
use abi::{Error, Handle, Result, Rights};
use alloc::boxed::Box;
use alloc::vec::Vec;
use scheme::process::{Command, Process};
use scheme::rt::{calls, lease};

/// The tag that asks the server to copy [`COPIED`] bytes out of lease 0.
pub const COPY: u64 = 1;
/// The tag that asks it to map lease 0 and read its first and last word.
pub const MAP: u64 = 2;
/// The tag that asks it to copy the first word out of lease 0.
pub const COPY_WORD: u64 = 3;
/// The tag that asks it to copy [`LARGE`] bytes out of lease 0.
pub const LARGE_COPY: u64 = 4;
/// Bytes lent to be copied in many calls.
pub const LARGE: usize = 1 << 20;
/// Bytes lent to be copied, and to be mapped.
pub const COPIED: usize = 4096;
/// Bytes lent to be mapped.
pub const MAPPED: usize = 64 * 1024;

/// A second process that answers calls, until this is dropped.
pub struct Server {
    /// The way to it.
    pub session: Handle,
    process: Process,
}

impl Server {
    /// Starts it from this program's file. Errors: the kernel's.
    pub fn start(program: &[u8]) -> Result<Server> {
        let endpoint = calls::endpoint_create(Handle::SELF_QUOTA)?;
        let session = calls::session_create(endpoint, 1, 0)?;
        let mut command = Command::new("app-bench");
        command.argument("server").grant("endpoint", endpoint, Rights::RECEIVE | Rights::MANAGE);
        Ok(Server { session, process: command.spawn(program)? })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill(0);
        calls::close(self.session);
    }
}

/// A page: what is copied to it is copied in one piece.
#[repr(align(4096))]
struct Page([u8; COPIED]);

/// What the second process does: answers for ever.
pub fn serve() -> Result<()> {
    let endpoint = scheme::server::endpoint()?;
    let reply = calls::reply_create(Handle::SELF_QUOTA)?;
    let mut page = Box::new(Page([0; COPIED]));
    let mut word = [0; 8];
    let mut large = Vec::new();
    let (mut status, mut tag) = raw::receive(Call::Recv, endpoint, 0, reply);
    while status == 0 {
        match tag {
            COPY => lease::read(reply, 0, 0, &mut page.0)?,
            COPY_WORD => lease::read(reply, 0, 0, &mut word)?,
            LARGE_COPY => {
                large.resize(LARGE, 0);
                lease::read(reply, 0, 0, &mut large)?;
            }
            MAP => {
                let pages = lease::map(reply, 0, 0, MAPPED, LeaseAccess::READ)?;
                pages.read(0, &mut word);
                pages.read(MAPPED - 8, &mut word);
            }
            // The thread goes on with the registers that it has.
            FAULT_TAG => tag = 0,
            _ => {}
        }
        (status, tag) = raw::receive(Call::ReplyRecv, endpoint, tag, reply);
    }
    Err(Error::Closed)
}

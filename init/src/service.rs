//! A service: what init holds for it and tells of it.

use crate::life::{Life, State};
use crate::manifest::Manifest;
use crate::roots::root;
use crate::upgrade::Builds;
use abi::boot::InitHandle;
use abi::{Handle, Rights};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use scheme::process::Process;
use scheme::rt::{calls, security};
use scheme::time::now_ns;

/// A service: its manifest, its life, and what init holds for it.
pub struct Service {
    /// What it is started with.
    pub manifest: Manifest,
    /// Where it is in its life.
    pub life: Life,
    /// The account it is charged to.
    pub(crate) quota: Handle,
    /// Where its calls come in (`NONE`: it serves nothing), and init's root session of it.
    pub(crate) endpoint: Handle,
    pub(crate) session: Handle,
    /// The memory that survives it, or `NONE`.
    pub(crate) keepsake: Handle,
    /// The schemes it sees.
    pub(crate) namespace: Handle,
    /// Capabilities of its manifest, by name.
    pub(crate) grants: Vec<(String, Handle, Rights)>,
    /// What its process is to the security policy.
    pub(crate) label: u32,
    /// The variables that tell it the types of its sessions.
    pub(crate) types: Vec<(String, u32)>,
    pub(crate) process: Option<Process>,
    /// The programs that it was upgraded to.
    pub builds: Builds,
    /// Whether it was ended for an upgrade.
    pub(crate) is_replaced: bool,
}

impl Service {
    /// The id of its process; 0 while there is none.
    pub fn pid(&self) -> u64 {
        self.process.as_ref().and_then(|p| p.id().ok()).unwrap_or(0)
    }

    /// It says that it is ready: what was on trial stays.
    pub(crate) fn is_ready(&mut self) {
        let was_starting = self.life.state == State::Starting;
        self.life.ready(now_ns());
        if !was_starting || self.is_replaced {
            return;
        }
        if let Some(length) = self.builds.accept() {
            log::info!("service {} runs a new build", self.manifest.name);
            self.note(&format!("upgraded to a build of {length} bytes"));
        }
    }

    /// Puts a note into the audit record.
    pub(crate) fn note(&self, note: &str) {
        if let Err(error) = security::audit_write(root(InitHandle::System), &self.manifest.name, note) {
            log::error!("the audit record takes no note: {error}");
        }
    }

    /// Pages used and allowed.
    pub fn pages(&self) -> (u64, u64) {
        calls::quota_info(self.quota).map_or((0, 0), |(limit, used, _)| (used, limit))
    }

    /// The names of the capabilities it is started with.
    pub fn holds(&self) -> impl Iterator<Item = &str> {
        let always = [("endpoint", self.endpoint), ("keepsake", self.keepsake)];
        let always = always.into_iter().filter(|(_, h)| !h.is_none()).map(|(n, _)| n);
        ["log", "ready"].into_iter().chain(always).chain(self.grants.iter().map(|(n, _, _)| n.as_str()))
    }

    /// The schemes in its namespace.
    pub fn sees(&self) -> Vec<String> {
        let mut names: Vec<String> = (0..).map_while(|i| calls::namespace_entry(self.namespace, i).ok()).collect();
        names.sort();
        names
    }
}

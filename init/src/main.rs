//! init's wiring: initfs, manifests, its own endpoint, the supervisor, the
//! server loop.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::boot::InitHandle;
use abi::initfs::Archive;
use abi::security::DEFAULT_TYPE;
use abi::{Error, Handle, Result};
use alloc::string::ToString;
use alloc::vec::Vec;
use init::manifest::{check_all, Manifest};
use init::policy::{self, Policy};
use init::roots::{root, Machine};
use init::server::{Services, SCHEMES};
use init::supervisor::{Supervisor, FAULT_BIT};
use scheme::notification::Notification;
use scheme::rt::{calls, memory, security};

scheme::entry!(run);

fn run() -> u64 {
    match set_up() {
        Ok((endpoint, services)) => scheme::server::serve_at(endpoint, services),
        Err(error) => {
            log::error!("init can't begin: {error}");
            1
        }
    }
}

fn set_up() -> Result<(Handle, Services)> {
    let machine = Machine::read()?;
    let bytes = memory::fixed_bytes(root(InitHandle::Initfs), machine.initfs_length)?;
    let archive = Archive::new(bytes)?;
    let endpoint = calls::endpoint_create(Handle::SELF_QUOTA)?;
    let notification = Notification::new()?;
    calls::notification_bind(notification.handle(), endpoint)?;
    calls::system_watch(root(InitHandle::System), notification.handle(), FAULT_BIT)?;
    let policy = policy(&archive)?;
    let own = SCHEMES
        .into_iter()
        .map(|(name, badge)| {
            let object_type = u64::from(policy.object_type(name).unwrap_or(DEFAULT_TYPE));
            Ok((name.to_string(), calls::session_create(endpoint, badge, object_type)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut supervisor = Supervisor::new(archive, machine, notification, policy, own);
    supervisor.add_all(manifests(&archive)?);
    supervisor.advance();
    Ok((endpoint, Services::new(supervisor)))
}

/// The policy of initfs, loaded and sealed. Errors: `Corrupt` (it is not sound), the kernel's: no service starts without.
fn policy(archive: &Archive<'_>) -> Result<Policy> {
    let files = archive.entries().filter(|f| f.name.starts_with(policy::DIRECTORY) && f.name.ends_with(".toml"));
    let texts: Vec<_> = files.map(|f| (f.name, core::str::from_utf8(f.data).unwrap_or("\0"))).collect();
    let policy = Policy::compile(texts).map_err(|error| {
        log::error!("{error}");
        Error::Corrupt
    })?;
    security::policy_load(root(InitHandle::System), policy.bytes())?;
    // The seal is looked at before anything relies on it.
    if security::policy_load(root(InitHandle::System), policy.bytes()) != Err(Error::WrongState) {
        log::error!("a second security policy was not refused");
        return Err(Error::Corrupt);
    }
    log::info!("security policy: {} subjects, {} types, sealed", policy.subjects().len(), policy.types().len());
    Ok(policy)
}

/// The manifests of initfs that are sound. Errors: `Corrupt` when they contradict each other.
fn manifests(archive: &Archive<'_>) -> Result<Vec<Manifest>> {
    let mut all = Vec::new();
    for file in archive.entries().filter(|f| f.name.starts_with("etc/init/") && f.name.ends_with(".toml")) {
        let text = core::str::from_utf8(file.data).unwrap_or("");
        match Manifest::parse(text) {
            Ok(manifest) => all.push(manifest),
            Err(error) => log::error!("{}: {error}", file.name),
        }
    }
    let services: Vec<Manifest> = all.iter().filter(|m| !m.template).cloned().collect();
    check_all(&services).map_err(|error| {
        log::error!("manifests: {error}");
        Error::Corrupt
    })?;
    log::info!("{} services, {} templates", services.len(), all.len().saturating_sub(services.len()));
    Ok(all)
}

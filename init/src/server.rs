//! init's own schemes: `services:` to look and ask, `service-manager:` to
//! start instances, `audit:` to read the record.
//!
//! The contract is `scheme::services`. Root badge 1 is `services:`, 2 is `service-manager:`, 3 is `audit:`.

use crate::roots::root;
use crate::service::Service;
use crate::supervisor::Supervisor;
use abi::boot::InitHandle;
use abi::{Error, Handle};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use scheme::entry::Listing;
use scheme::lease::Target;
use scheme::rt::calls;
use scheme::scheme::{Caller, Control, Controlled, Opened, Outcome, Scheme};
use scheme::services::{self, StartInstance};
use scheme::stat::{FileKind, Stat};
use scheme::wire::{OpenFlags, LIST_END};

/// The badge of the root session of `services:`.
pub const SERVICES_BADGE: u64 = 1;
/// The badge of the root session of `service-manager:`.
pub const MANAGER_BADGE: u64 = 2;
/// The badge of the root session of `audit:`.
pub const AUDIT_BADGE: u64 = 3;
/// init's schemes, each with the badge of its root; the names of their types are the same.
pub const SCHEMES: [(&str, u64); 3] =
    [("services", SERVICES_BADGE), ("service-manager", MANAGER_BADGE), ("audit", AUDIT_BADGE)];
/// The longest input of a command.
const INPUT: usize = 4096;
/// Ids from here on are services, in order.
const FIRST_SERVICE: u64 = 16;

/// The server.
pub struct Services {
    supervisor: Supervisor,
}

impl Services {
    /// A server over the services that a supervisor keeps.
    pub fn new(supervisor: Supervisor) -> Services {
        Services { supervisor }
    }

    fn service(&self, id: u64) -> Result<&Service, Error> {
        let index = id.checked_sub(FIRST_SERVICE).and_then(|i| usize::try_from(i).ok()).ok_or(Error::IsDirectory)?;
        self.supervisor.services().get(index).ok_or(Error::NotFound)
    }

    fn find(&self, path: &str) -> Result<u64, Error> {
        let index = self.supervisor.services().iter().position(|s| s.manifest.name == path).ok_or(Error::NotFound)?;
        Ok(FIRST_SERVICE.saturating_add(index as u64))
    }
}

/// The file of a service.
fn text(service: &Service) -> String {
    let manifest = &service.manifest;
    let (used, limit) = service.pages();
    let holds: Vec<&str> = service.holds().collect();
    format!(
        "name {}\nlabel {}\nobject-type {}\nstate {}\nrestarts {}\nupgrades {}\npid {}\nready-ns {}\nscheme {}\nmemory-pages {used}\nmemory-limit {limit}\nholds {}\nsees {}\n",
        manifest.name,
        manifest.label,
        manifest.object_type,
        service.life.state.name(),
        service.life.restarts,
        service.builds.upgrades,
        service.pid(),
        service.life.ready_ns,
        manifest.scheme.as_deref().unwrap_or("-"),
        holds.join(" "),
        service.sees().join(" "),
    )
}

fn stop(what: u64) -> Outcome<Controlled> {
    log::info!("stopping the machine");
    calls::system_control(root(InitHandle::System), 0, what)?;
    Ok(Controlled::default())
}

impl Scheme for Services {
    fn root(&mut self, badge: u64) -> Outcome<u64> {
        Ok(badge)
    }

    fn open(&mut self, caller: &Caller, path: &str, flags: OpenFlags) -> Outcome<Opened> {
        if flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE) {
            return Err(Error::PermissionDenied.into());
        }
        if caller.id == AUDIT_BADGE {
            return Err(Error::NotSupported.into());
        }
        // A session of one's own is a view only: commands go to the roots.
        let id = if path.is_empty() { 0 } else { self.find(path)? };
        Ok(Opened { object_type: self.supervisor.object_type("services"), ..Opened::new(id) })
    }

    fn read(&mut self, caller: &Caller, offset: u64, target: &mut Target<'_>) -> Outcome<usize> {
        let text = text(self.service(caller.id)?);
        Ok(target.fill_from(text.as_bytes(), offset)?)
    }

    fn stat(&mut self, caller: &Caller, path: &str) -> Outcome<Stat> {
        let id = if path.is_empty() { caller.id } else { self.find(path)? };
        if id < FIRST_SERVICE {
            return Ok(Stat { kind: FileKind::Directory, permissions: 0o555, links: 1, ..Stat::default() });
        }
        let size = text(self.service(id)?).len() as u64;
        Ok(Stat { kind: FileKind::File, permissions: 0o444, links: 1, id, size, ..Stat::default() })
    }

    fn list(&mut self, caller: &Caller, cursor: u64, listing: &mut Listing<'_, '_>) -> Outcome<u64> {
        if caller.id >= FIRST_SERVICE || caller.id == AUDIT_BADGE {
            return Err(Error::NotDirectory.into());
        }
        let from = usize::try_from(cursor).map_err(|_| Error::BadArgument)?;
        for (index, service) in self.supervisor.services().iter().enumerate().skip(from) {
            let id = FIRST_SERVICE.saturating_add(index as u64);
            if !listing.push(&service.manifest.name, FileKind::File, 0, id) {
                return Ok(index as u64);
            }
        }
        Ok(LIST_END)
    }

    fn control(&mut self, caller: &Caller, control: &mut Control<'_, '_>) -> Outcome<Controlled> {
        if caller.id == AUDIT_BADGE {
            let (next, text) = self.supervisor.audit(control.command, control.argument, control.output.len())?;
            return Ok(Controlled::output(next, control.output.fill(text.as_bytes())?));
        }
        if !matches!(caller.id, SERVICES_BADGE | MANAGER_BADGE) {
            return Err(Error::NotSupported.into());
        }
        let input = control.input.to_vec(INPUT)?;
        let input = core::str::from_utf8(&input).map_err(|_| Error::BadArgument)?.trim_end();
        match control.command {
            services::POWER_OFF => stop(0),
            services::REBOOT => stop(1),
            services::EXIT if (2..=127).contains(&control.argument) => stop(control.argument),
            services::EXIT => Err(Error::BadArgument.into()),
            services::KILL => {
                log::info!("asked to end {input}");
                self.supervisor.kill(input)?;
                Ok(Controlled::default())
            }
            services::START if caller.id == MANAGER_BADGE => {
                let wish = StartInstance::from_text(input)?;
                let mut sessions: Vec<(String, Handle)> = Vec::new();
                for (index, name) in wish.sessions.iter().enumerate() {
                    let handle = control.caps.take(index).ok_or(Error::BadArgument)?;
                    sessions.push((name.to_string(), handle));
                }
                let handles: Vec<Handle> = sessions.iter().map(|s| s.1).collect();
                let started = self.supervisor.start_instance(&wish.template, &wish.instance, sessions);
                if started.is_err() {
                    handles.into_iter().for_each(calls::close);
                }
                started?;
                Ok(Controlled::default())
            }
            services::UPGRADE if caller.id == MANAGER_BADGE => {
                let memory = control.caps.take(0).ok_or(Error::BadArgument)?;
                let program = crate::upgrade::read(memory, control.argument);
                calls::close(memory);
                self.supervisor.upgrade(input, program?)?;
                Ok(Controlled::default())
            }
            services::START | services::UPGRADE => Err(Error::PermissionDenied.into()),
            services::MISSING => {
                let missing = self.supervisor.missing();
                let text = missing.iter().map(|n| format!("{n}\n")).collect::<String>();
                let length = control.output.fill(text.as_bytes())?;
                Ok(Controlled::output(missing.len() as u64, length))
            }
            services::LABELS => {
                let text = self.supervisor.labels();
                Ok(Controlled::output(text.lines().count() as u64, control.output.fill(text.as_bytes())?))
            }
            services::COUNTERS => {
                let mut words = [0u64; 16];
                let count = calls::system_info(root(InitHandle::System), 1, &mut words)?;
                let bytes: Vec<u8> = words.iter().take(count).flat_map(|w| w.to_le_bytes()).collect();
                Ok(Controlled::output(count as u64, control.output.fill(&bytes)?))
            }
            _ => Err(Error::NotSupported.into()),
        }
    }

    fn event(&mut self, bits: u64) {
        self.supervisor.event(bits);
    }
}

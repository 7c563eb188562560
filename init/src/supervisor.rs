//! The services and what is done with them: the only part of init that acts.

use crate::life::{End, Life, State};
use crate::manifest::{Grant, Manifest, When};
use crate::policy::Policy;
use crate::roots::{root, Machine};
use crate::service::Service;
use crate::upgrade::Builds;
use abi::boot::InitHandle;
use abi::initfs::Archive;
use abi::memory::{MemoryFlags, PAGE_SIZE};
use abi::{Error, Handle, Result, Rights};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use scheme::notification::Notification;
use scheme::process::{Account, Command, Names, Process, Status};
use scheme::rt::{calls, security};
use scheme::time::now_ns;

/// A fault report waits.
pub const FAULT_BIT: u64 = 1;
/// A process ended.
pub const END_BIT: u64 = 2;
/// A service is due to be started.
pub const TIMER_BIT: u64 = 4;
/// The first of the bits by which services say they are ready.
const FIRST_READY: u32 = 8;
/// The most services: each has a bit of its own.
const SERVICES: usize = 56;
/// The badge of a service's root session.
const ROOT_BADGE: u64 = 1;

/// All services.
pub struct Supervisor {
    archive: Archive<'static>,
    machine: Machine,
    notification: Notification,
    policy: Policy,
    services: Vec<Service>,
    templates: Vec<Manifest>,
    /// init's own schemes, by name.
    own: Vec<(String, Handle)>,
    /// What the machine had when init began.
    free_pages: u64,
}

impl Supervisor {
    /// A supervisor that has started nothing yet. `own` are init's own schemes.
    pub fn new(
        archive: Archive<'static>,
        machine: Machine,
        notification: Notification,
        policy: Policy,
        own: Vec<(String, Handle)>,
    ) -> Supervisor {
        let free_pages =
            calls::quota_info(root(InitHandle::Quota)).map_or(0, |(limit, used, _)| limit.saturating_sub(used));
        let (services, templates) = (Vec::new(), Vec::new());
        Supervisor { archive, machine, notification, policy, services, templates, own, free_pages }
    }

    /// The services, in the order they were added.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Takes up manifests: templates are kept, services made (not yet started). What can't be made is logged
    /// and left out.
    pub fn add_all(&mut self, manifests: Vec<Manifest>) {
        let (templates, services): (Vec<Manifest>, Vec<Manifest>) = manifests.into_iter().partition(|m| m.template);
        self.templates = templates;
        for manifest in services {
            if manifest.when == When::Hypervisor && !self.machine.hypervisor {
                continue;
            }
            let name = manifest.name.clone();
            if let Err(error) = self.add(manifest, Vec::new()) {
                log::error!("service {name} can't be made: {error}");
            }
        }
    }

    /// Makes an instance of a template and starts it. Errors: `NotFound`, `Exists`, `BadArgument`, `TableFull`, the kernel's.
    pub fn start_instance(&mut self, template: &str, instance: &str, sessions: Vec<(String, Handle)>) -> Result<()> {
        let wanted = [template, "-{instance}"].concat();
        let manifest = self.templates.iter().find(|t| t.name == wanted).ok_or(Error::NotFound)?;
        let manifest = manifest.instance(instance).map_err(|error| {
            log::warn!("instance '{instance}' of {template}: {error}");
            Error::BadArgument
        })?;
        if self.services.iter().any(|s| s.manifest.name == manifest.name) {
            return Err(Error::Exists);
        }
        self.add(manifest, sessions)?;
        self.advance();
        Ok(())
    }

    fn add(&mut self, manifest: Manifest, sessions: Vec<(String, Handle)>) -> Result<()> {
        if self.services.len() >= SERVICES {
            return Err(Error::TableFull);
        }
        let label = self.known(&manifest, "label", &manifest.label, self.policy.subject(&manifest.label))?;
        let mut types = Vec::new();
        let named = manifest.object_types.iter().map(|(name, known)| (security::variable_of(name), known));
        for (variable, name) in named.chain([(security::OBJECT_TYPE.to_string(), &manifest.object_type)]) {
            types.push((variable, self.known(&manifest, "object type", name, self.policy.object_type(name))?));
        }
        let own = Handle::SELF_QUOTA;
        let quota = calls::quota_split(root(InitHandle::Quota), manifest.pages(self.free_pages), 0)?;
        let (mut endpoint, mut session) = (Handle::NONE, Handle::NONE);
        if manifest.scheme.is_some() {
            endpoint = calls::endpoint_create(own)?;
            session = calls::session_create(endpoint, ROOT_BADGE, self.object_type(&manifest.object_type))?;
        }
        let keepsake = match manifest.keepsake_pages {
            0 => Handle::NONE,
            pages => calls::memory_create(own, pages, MemoryFlags::empty())?,
        };
        let namespace = calls::namespace_create(own)?;
        let mut grants = Vec::new();
        for grant in &manifest.capabilities {
            if let Some((handle, rights)) = self.make_grant(grant)? {
                grants.push((grant.name().to_string(), handle, rights));
            }
        }
        for (name, handle) in &sessions {
            calls::namespace_bind(namespace, name, *handle)?;
        }
        // Names of others that it may see, and its own in the namespaces of others.
        let served = self.services.iter().filter_map(|s| Some((s.manifest.scheme.as_deref()?, s.session)));
        let own_schemes = self.own.iter().map(|(name, handle)| (name.as_str(), *handle));
        for (name, handle) in served.chain(own_schemes) {
            if manifest.sees(name) {
                calls::namespace_bind(namespace, name, handle)?;
            }
        }
        if let Some(scheme) = &manifest.scheme {
            for other in self.services.iter().filter(|s| s.manifest.sees(scheme)) {
                calls::namespace_bind(other.namespace, scheme, session)?;
            }
        }
        let life = Life::default();
        self.services.push(Service {
            manifest,
            life,
            quota,
            endpoint,
            session,
            keepsake,
            namespace,
            grants,
            label,
            types,
            process: None,
            builds: Builds::default(),
            is_replaced: false,
        });
        Ok(())
    }

    /// A number that a manifest names, if the policy knows it. Errors: `NotFound`.
    fn known(&self, manifest: &Manifest, what: &str, name: &str, number: Option<u32>) -> Result<u32> {
        number.ok_or_else(|| {
            log::error!("{}: the security policy knows no {what} '{name}'", manifest.name);
            Error::NotFound
        })
    }

    /// The number of a type; that of the default where the policy does not know it.
    pub fn object_type(&self, name: &str) -> u64 {
        u64::from(self.policy.object_type(name).unwrap_or(abi::security::DEFAULT_TYPE))
    }

    /// What `services::LABELS` answers.
    pub fn labels(&self) -> String {
        let subjects = self.policy.subjects().iter().enumerate().map(|(n, name)| format!("subject {n} {name}\n"));
        let types = self.policy.types().iter().enumerate().map(|(n, name)| format!("type {n} {name}\n"));
        subjects.chain(types).collect()
    }

    /// What the commands `services::AUDIT…` answer: the next position, and lines. Errors: `NotSupported`,
    /// `BadArgument`.
    pub fn audit(&self, command: u64, position: u64, room: usize) -> Result<(u64, String)> {
        crate::audit::read(&self.policy, command, position, room, &mut |ring, position| {
            security::audit_read(root(InitHandle::System), ring, position)
        })
    }

    /// The capability that a manifest asks for; `None` where the machine has no such thing.
    fn make_grant(&self, grant: &Grant) -> Result<Option<(Handle, Rights)>> {
        let read_write = Rights::READ | Rights::WRITE | Rights::INSPECT;
        let hand_on = read_write | Rights::DERIVE | Rights::TRANSFER;
        let manage = Rights::MANAGE | Rights::INSPECT;
        Ok(Some(match grant {
            // Every port: only the bus manager, which narrows it for drivers.
            Grant::Ports { first: 0, count: 65536, .. } => (root(InitHandle::IoPorts), hand_on),
            Grant::Ports { first, count, .. } => {
                let (first, count) = (u64::from(*first), u64::from(*count));
                (calls::derive_range(root(InitHandle::IoPorts), hand_on, first, count)?, read_write)
            }
            Grant::InterruptLine { line, .. } => {
                (calls::interrupt_allocate(root(InitHandle::Interrupt), u64::from(*line), 0)?.0, manage)
            }
            Grant::Interrupts { .. } => (root(InitHandle::Interrupt), manage),
            Grant::DeviceMemory { .. } => (root(InitHandle::DeviceMemory), hand_on),
            Grant::Framebuffer { .. } => {
                let [address, ..] = self.machine.framebuffer;
                let start = address & !PAGE_SIZE.wrapping_sub(1);
                let end = address.checked_add(self.machine.framebuffer_length()).ok_or(Error::BadArgument)?;
                if address == 0 {
                    return Ok(None);
                }
                let length = end.next_multiple_of(PAGE_SIZE).saturating_sub(start);
                (calls::derive_range(root(InitHandle::DeviceMemory), hand_on, start, length)?, read_write)
            }
            Grant::AcpiTables { .. } => (root(InitHandle::AcpiTables), Rights::READ | Rights::INSPECT),
            Grant::DmaRoot { .. } => (root(InitHandle::DmaDomain), manage),
            Grant::Initfs { .. } => (root(InitHandle::Initfs), Rights::READ | Rights::EXECUTE | Rights::INSPECT),
            Grant::LogReader { .. } => (root(InitHandle::Log), Rights::READ | Rights::INSPECT | Rights::TRANSFER),
            Grant::QuotaView { .. } => (root(InitHandle::Quota), Rights::INSPECT | Rights::TRANSFER),
        }))
    }

    fn is_ready(&self, name: &str) -> bool {
        let ready = |s: &Service| matches!(s.life.state, State::Ready | State::Finished | State::Failed);
        // What this machine does not have is not waited for.
        self.services.iter().find(|s| s.manifest.name == name).is_none_or(ready)
    }

    /// Starts whatever can be started now, and sets the timer for what is due later.
    pub fn advance(&mut self) {
        let mut next: Option<u64> = None;
        for index in 0..self.services.len() {
            let Some(service) = self.services.get(index) else { continue };
            let start = match service.life.state {
                State::Waiting => service.manifest.needs.iter().all(|n| self.is_ready(n)),
                _ => match service.life.due(now_ns()) {
                    Ok(()) => true,
                    Err(later) => {
                        next = match (next, later) {
                            (Some(a), Some(b)) => Some(a.min(b)),
                            (a, b) => a.or(b),
                        };
                        false
                    }
                },
            };
            if start {
                self.start(index);
            }
        }
        if let Some(due) = next {
            if let Err(error) = self.notification.timer(TIMER_BIT, due) {
                log::error!("timer: {error}");
            }
        }
    }

    fn start(&mut self, index: usize) {
        let notification = self.notification.handle();
        let Some(service) = self.services.get_mut(index) else { return };
        let manifest = &service.manifest;
        let name = manifest.name.clone();
        if service.grants.iter().any(|(n, _, _)| n == "com1") {
            // The kernel's own writing to the serial port ends where its driver begins.
            let _ = calls::system_control(root(InitHandle::System), 1, 0);
        }
        let mut command = Command::new(&name);
        for argument in &manifest.arguments {
            command.argument(self.machine.fill(argument));
        }
        for entry in &manifest.environment {
            if let Some((key, value)) = entry.split_once('=') {
                command.variable(key, value);
            }
        }
        if let Some(seconds) = self.machine.boot_time {
            command.variable("BOOT_TIME", &format!("{seconds}"));
        }
        let bits = ready_bits(index);
        command.variable("READY_BITS", &format!("{bits}"));
        if !service.endpoint.is_none() {
            for (variable, number) in &service.types {
                command.variable(variable, &format!("{number}"));
            }
        }
        command.label(service.label);
        // What a program starts may write to the log too.
        command.grant("log", root(InitHandle::Log), Rights::WRITE | Rights::TRANSFER);
        // Its own bits and no others. (What it holds outlives ours, which goes once it was granted.)
        let ready = calls::derive_range(notification, Rights::SEND | Rights::TRANSFER, bits, 0);
        let ready = ready.unwrap_or(Handle::NONE);
        command.grant("ready", ready, Rights::SEND);
        if !service.endpoint.is_none() {
            command.grant("endpoint", service.endpoint, Rights::RECEIVE | Rights::MANAGE);
        }
        if !service.keepsake.is_none() {
            command.grant("keepsake", service.keepsake, Rights::READ | Rights::WRITE | Rights::INSPECT);
        }
        for (name, handle, rights) in &service.grants {
            command.grant(name, *handle, *rights);
        }
        command.account(Account::Given(service.quota)).names(Names::Given(service.namespace));
        command.priority(u64::from(manifest.priority), u64::from(manifest.priority));
        let path = manifest.program.as_str();
        let started = match service.builds.program() {
            Some(program) => command.spawn(program),
            None => self.archive.find(path).ok_or(Error::NotFound).and_then(|file| command.spawn(file.data)),
        };
        calls::close(ready);
        match started {
            Ok(process) => {
                service.life.started(now_ns());
                if let Err(error) = process.watch(&self.notification, END_BIT) {
                    log::error!("service {name} can't be watched: {error}");
                }
                service.process = Some(process);
                // A program that serves nothing is ready when it runs, unless it says so itself.
                if service.endpoint.is_none() && !manifest.says_ready {
                    service.is_ready();
                }
            }
            Err(error) if service.builds.reject() => {
                log::error!("the new build of service {name} can't be started: {error}");
                service.life.replaced(now_ns());
                service.note("the new build can't be started: the one before again");
            }
            Err(error) => {
                log::error!("service {name} ({path}) can't be started: {error}");
                service.life.refused();
                self.withdraw(&name);
            }
        }
    }

    /// Bits of init's notification came.
    pub fn event(&mut self, bits: u64) {
        if bits & FAULT_BIT != 0 {
            self.report_faults();
        }
        for index in 0..self.services.len() {
            if bits & ready_bits(index) != 0 {
                if let Some(service) = self.services.get_mut(index) {
                    service.is_ready();
                }
            }
        }
        if bits & END_BIT != 0 {
            // The report of a fault comes before the news of its end.
            self.report_faults();
            self.collect();
        }
        self.advance();
    }

    fn report_faults(&self) {
        while let Ok(report) = calls::fault_report(root(InitHandle::System)) {
            let end = report.name.iter().position(|b| *b == 0).unwrap_or(report.name.len());
            let name = core::str::from_utf8(report.name.get(..end).unwrap_or(&[])).unwrap_or("");
            let service = self.services.iter().find(|s| s.manifest.name == name);
            let path = service.map_or_else(|| ["bin/", name].concat(), |s| s.manifest.program.clone());
            let file = self.archive.find(&path).map(|f| f.data);
            for line in crate::symbols::lines(&report, file) {
                log::error!("{line}");
            }
        }
    }

    fn collect(&mut self) {
        let now = now_ns();
        let mut over = Vec::new();
        for service in &mut self.services {
            let end = match service.process.as_ref().map(Process::status) {
                None | Some(Ok(Status::Running)) => continue,
                Some(Ok(Status::Exited(code))) => End::Exited(code as u32),
                Some(Ok(Status::Killed(_))) => End::Killed,
                Some(Ok(Status::Faulted(_))) => End::Faulted,
                Some(Err(error)) => {
                    log::error!("{}: {error}", service.manifest.name);
                    continue;
                }
            };
            service.process = None;
            if core::mem::take(&mut service.is_replaced) {
                service.life.replaced(now);
                log::info!("service {} ended for an upgrade", service.manifest.name);
                continue;
            }
            if service.builds.reject() {
                service.life.replaced(now);
                log::error!("the new build of service {} ended ({end:?}) before it was ready", service.manifest.name);
                service.note("the new build ended before it was ready: the one before again");
                continue;
            }
            service.life.ended(&service.manifest, end, now);
            let state = service.life.state;
            let note = match state {
                State::Finished => "finished".to_string(),
                State::Failed => format!("ended ({end:?}), given up"),
                _ => format!("ended ({end:?}), restart {}", service.life.restarts),
            };
            service.note(&note);
            if matches!(state, State::Finished | State::Failed) {
                over.push(service.manifest.name.clone());
            }
            match state {
                State::Finished => log::info!("service {} finished", service.manifest.name),
                State::Failed => log::error!("service {} ended ({end:?}) and is given up", service.manifest.name),
                _ => log::warn!("service {} ended ({end:?}), restart {}", service.manifest.name, service.life.restarts),
            }
        }
        over.iter().for_each(|name| self.withdraw(name));
    }

    /// A service that is over for good serves nobody: its name goes from every namespace, and with the endpoint whoever
    /// waits there is told.
    fn withdraw(&mut self, name: &str) {
        let Some(service) = self.services.iter_mut().find(|s| s.manifest.name == name) else { return };
        let handles = [core::mem::take(&mut service.session), core::mem::take(&mut service.endpoint)];
        let scheme = service.manifest.scheme.clone();
        for scheme in scheme.iter() {
            for other in self.services.iter().filter(|s| s.manifest.sees(scheme)) {
                if let Err(error) = calls::namespace_bind(other.namespace, scheme, Handle::NONE) {
                    log::debug!("{}: {error}", other.manifest.name);
                }
            }
        }
        handles.into_iter().for_each(calls::close);
    }

    /// Replaces the program of a service: it is ended, and started again with this one. Errors: `NotFound` (no such service, or
    /// it is over), `Busy` (another upgrade is under way), the kernel's.
    pub fn upgrade(&mut self, name: &str, program: Vec<u8>) -> Result<()> {
        let service = self.services.iter_mut().find(|s| s.manifest.name == name && s.life.goes_on());
        let service = service.ok_or(Error::NotFound)?;
        service.builds.offer(program)?;
        log::info!("service {name} is to be upgraded");
        match &service.process {
            Some(process) => {
                service.is_replaced = true;
                process.kill(0)
            }
            None => {
                service.life.replaced(now_ns());
                self.advance();
                Ok(())
            }
        }
    }

    /// Ends a service by its name, or a process by its id. Errors: `NotFound`, `PermissionDenied` (init itself).
    pub fn kill(&mut self, who: &str) -> Result<()> {
        if let Some(service) = self.services.iter().find(|s| s.manifest.name == who) {
            return service.process.as_ref().ok_or(Error::NotFound)?.kill(137);
        }
        let id: u64 = who.parse().map_err(|_| Error::NotFound)?;
        if calls::thread_id()?.1 == id {
            return Err(Error::PermissionDenied);
        }
        let process = calls::quota_open(root(InitHandle::Quota), id)?;
        let killed = calls::process_kill(process, 137);
        calls::close(process);
        killed
    }

    /// Essential services that can't be kept running.
    pub fn missing(&self) -> Vec<&str> {
        let lost = |s: &&Service| s.manifest.essential && s.life.state == State::Failed;
        self.services.iter().filter(lost).map(|s| s.manifest.name.as_str()).collect()
    }
}

fn ready_bits(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|i| 1u64.checked_shl(FIRST_READY.saturating_add(i))).unwrap_or(0)
}

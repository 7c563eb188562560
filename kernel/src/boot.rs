//! The start, step by step (`kernel/README.md`, "The boot ladder").

use abi::boot::BootInfo;
use abi::memory::PAGE_SIZE;
use kernel_arch::machine::machine::X86;
use kernel_arch::machine::platform::{self, Platform, Report};
use kernel_arch::machine::stop::StopRegisters;
use kernel_arch::machine::{clock, console, early, trap};
use kernel_core::id::Id;
use kernel_core::machine::Machine;
use kernel_core::object::Process;
use kernel_core::Kernel;
use kernel_services::acpi::{self, Tables};
use kernel_services::first::{self, Found};
use kernel_services::logger::{self, EarlyLog, Logger, Out};
use kernel_services::options::Options;
use spin::{Mutex, Once};

static LOGGER: Logger = Logger(Out { write: show, now_ns: clock::now_ns });
/// The log's lines until there is a kernel to keep them.
static EARLY: Mutex<EarlyLog> = Mutex::new(EarlyLog::new());

/// The first process.
static INIT: Once<Id<Process>> = Once::new();

/// Where lines go: the early console, and (before there is a kernel) what is kept for its log.
fn show(line: &[u8]) {
    console::write(line);
    if let Some(mut early) = EARLY.try_lock() {
        early.push(line);
    }
}

/// What the tables say, as the machine layer wants it.
fn platform(tables: &Tables, limit: usize) -> Platform {
    let mut platform = Platform {
        local_apic: tables.controllers.local_apic,
        has_8259: tables.controllers.has_8259,
        hpet: tables.hpet,
        pm_timer: (tables.fixed.pm_timer != 0)
            .then_some((tables.fixed.pm_timer, if tables.fixed.pm_timer_is_wide { 32 } else { 24 })),
        stop: StopRegisters {
            pm1a_control: tables.fixed.pm1a_control,
            pm1b_control: tables.fixed.pm1b_control,
            sleep_type: tables.sleep_type,
            reset: tables.fixed.reset,
            enable: tables.fixed.enable,
        },
        io_apics: Default::default(),
        processors: tables.controllers.processor_ids,
        processor_count: tables.controllers.processors as usize,
        processor_limit: limit,
    };
    for (slot, io_apic) in platform.io_apics.iter_mut().zip(tables.controllers.io_apics()) {
        *slot = (io_apic.address, io_apic.first_line);
    }
    platform
}

fn tell(info: &BootInfo, tables: &Tables, report: &Report) {
    let memory: u64 = info.regions().iter().filter(|r| r.kind == 1).map(|r| r.length).sum();
    log::info!(
        "LimitlessOS: {} MiB free, {} processor(s), {} used; started through {}",
        memory >> 20,
        tables.controllers.processors.max(1),
        X86.cpu_count(),
        if info.firmware == 1 { "UEFI" } else { "PVH" }
    );
    log::info!(
        "clock: {} kHz, timer {} kHz, measured against {:?}",
        report.tsc_hz / 1000,
        report.timer_hz / 1000,
        report.reference
    );
    log::debug!("processor: {:?}", report.features);
    log::debug!("tables: {tables:x?}");
}

/// Before each wait: without init nothing starts or restarts anything, so its end is the system's.
fn watch(kernel: &Kernel<X86>) {
    let Some(end) = INIT.get().and_then(|init| first::ended(kernel, *init)) else { return };
    let (state, code, report) = end;
    if let Some(report) = report {
        log::error!("{report:x?}");
    }
    panic!("init ended: {state:?}, code {code}");
}

#[allow(unsafe_code, reason = "exports the one symbol that the start code calls")]
#[no_mangle]
fn kernel_main(info: &'static mut BootInfo) -> ! {
    let options = Options::parse(info.command_line());
    console::initialise(options.quiet);
    logger::initialise(&LOGGER, options.level);
    let Ok(tables) = acpi::read(&early::read, info.rsdp) else {
        early::refuse("no usable ACPI tables (RSDP, root table, MADT)");
    };
    let report = platform::initialise(info, &platform(&tables, options.cpus));
    tell(info, &tables, &report);
    let kernel = match Kernel::new(X86, info.regions()) {
        Ok(kernel) => kernel,
        Err(error) => panic!("no memory for the kernel's own bookkeeping: {error}"),
    };
    EARLY.lock().hand_over(|lines| kernel.log_bytes(lines));
    // Nobody maps the kernel's own registers.
    let own = [Some(tables.controllers.local_apic), tables.hpet];
    for address in own.into_iter().flatten().chain(tables.controllers.io_apics().iter().map(|io_apic| io_apic.address))
    {
        assert!(
            kernel.device_page_keep(address / PAGE_SIZE),
            "invariant: there is room to note the kernel's registers"
        );
    }
    let found = Found {
        tables: platform::tables_range(info, tables.range, tables.root),
        processors: X86.cpu_count() as u32,
        hypervisor: report.features.hypervisor,
    };
    match first::start(&kernel, info, &found, platform::initfs(info)) {
        Ok(init) => INIT.call_once(|| init),
        Err(failure) => panic!("no first process: {failure:?}"),
    };
    trap::keep(kernel);
    trap::run(watch)
}

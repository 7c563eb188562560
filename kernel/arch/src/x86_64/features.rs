//! What the processor can do, and the control registers that follow from it.
//!
//! [`Features`] is read from any source of CPUID leaves, so that machines we don't have are tested
//! with made-up leaves. References: SDM 2A, CPUID; SDM 3A, 2.5 (control registers), 4.6; SDM 1, 13.

use raw_cpuid::{CpuId, CpuIdReader};

/// What the kernel wants to know of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Features {
    /// Pages without execution; the kernel does not start without.
    pub no_execute: bool,
    /// `syscall` and `sysret`; the kernel does not start without.
    pub syscall: bool,
    /// FXSAVE and SSE; the kernel does not start without.
    pub fxsave: bool,
    /// Supervisor mode does not execute user pages.
    pub smep: bool,
    /// Supervisor mode does not touch user pages.
    pub smap: bool,
    /// User mode can't read descriptor-table registers.
    pub umip: bool,
    /// Global pages.
    pub global_pages: bool,
    /// Pages of 1 GiB.
    pub huge_pages: bool,
    /// Machine checks are reported.
    pub machine_check: bool,
    /// The local APIC can be reached through MSRs.
    pub x2apic: bool,
    /// XSAVE.
    pub xsave: bool,
    /// XSAVEOPT.
    pub xsaveopt: bool,
    /// State components that XSAVE saves here, of those that fit the FPU frame.
    pub components: u64,
    /// The time-stamp counter runs at one rate whatever the processor does.
    pub steady_tsc: bool,
    /// There is a hypervisor.
    pub hypervisor: bool,
}

/// x87, SSE.
const BASIC: u64 = 3;
/// AVX.
const AVX: u64 = 1 << 2;
/// The three components of AVX-512.
const AVX512: u64 = 7 << 5;
/// Where AVX-512's last component ends in the standard layout (SDM 1, table 13-1 with its sizes): what
/// is kept fits one page.
const FRAME: u32 = 4096;

impl Features {
    /// Reads CPUID.
    pub fn read<R: CpuIdReader>(cpuid: &CpuId<R>) -> Features {
        let mut features = Features::default();
        if let Some(f) = cpuid.get_feature_info() {
            features.fxsave = f.has_fxsave_fxstor() && f.has_sse2();
            features.global_pages = f.has_pge();
            features.machine_check = f.has_mce() && f.has_mca();
            features.x2apic = f.has_x2apic();
            features.xsave = f.has_xsave();
            features.hypervisor = f.has_hypervisor();
        }
        if let Some(f) = cpuid.get_extended_feature_info() {
            features.smep = f.has_smep();
            features.smap = f.has_smap();
            features.umip = f.has_umip();
        }
        if let Some(f) = cpuid.get_extended_processor_and_feature_identifiers() {
            features.no_execute = f.has_execute_disable();
            features.syscall = f.has_syscall_sysret();
            features.huge_pages = f.has_1gib_pages();
        }
        if let Some(f) = cpuid.get_advanced_power_mgmt_info() {
            features.steady_tsc = f.has_invariant_tsc();
        }
        if features.xsave {
            if let Some(f) = cpuid.get_extended_state_info() {
                features.xsaveopt = f.has_xsaveopt();
                let mut wanted = BASIC;
                let component = |number: u32| f.iter().find(|c| c.subleaf == number);
                let fits =
                    |number: u32| component(number).is_some_and(|c| c.offset().saturating_add(c.size()) <= FRAME);
                if f.xcr0_supports_avx_256() && fits(2) {
                    wanted |= AVX;
                    let all = f.xcr0_supports_avx512_opmask()
                        && f.xcr0_supports_avx512_zmm_hi256()
                        && f.xcr0_supports_avx512_zmm_hi16();
                    if all && [5, 6, 7].into_iter().all(fits) {
                        wanted |= AVX512;
                    }
                }
                features.components = wanted;
            }
        }
        features
    }

    /// What the kernel can't do without, if something is missing.
    pub fn missing(&self) -> Option<&'static str> {
        let needed = [
            (self.no_execute, "the processor has no NX"),
            (self.syscall, "the processor has no SYSCALL"),
            (self.fxsave, "the processor has no FXSAVE and SSE2"),
        ];
        needed.into_iter().find(|(has, _)| !has).map(|(_, missing)| missing)
    }

    /// CR4: physical address extension, SSE, and whatever protects. FSGSBASE and protection keys stay off.
    pub fn control(&self) -> u64 {
        const PAE: u64 = 1 << 5;
        const MACHINE_CHECK: u64 = 1 << 6;
        const GLOBAL: u64 = 1 << 7;
        const FXSAVE: u64 = 1 << 9;
        const SSE_EXCEPTIONS: u64 = 1 << 10;
        const UMIP: u64 = 1 << 11;
        const XSAVE: u64 = 1 << 18;
        const SMEP: u64 = 1 << 20;
        const SMAP: u64 = 1 << 21;
        let optional = [
            (self.machine_check, MACHINE_CHECK),
            (self.global_pages, GLOBAL),
            (self.umip, UMIP),
            (self.xsave, XSAVE),
            (self.smep, SMEP),
            (self.smap, SMAP),
        ];
        optional.iter().filter(|(has, _)| *has).fold(PAE | FXSAVE | SSE_EXCEPTIONS, |word, (_, bit)| word | bit)
    }
}

#[cfg(test)]
mod tests;

//! Where the UEFI firmware is: its code, and a fresh store for its variables.
//!
//! Distributions put OVMF in different places; each pair here belongs together (a 4 MiB code
//! volume needs a 4 MiB variable store).

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Code and variable template, as installed. The code is used in place and never written; the
/// variables are copied for each machine.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// The firmware's code volume.
    pub code: PathBuf,
    /// The template of its variable store.
    pub variables: PathBuf,
}

const PLACES: [(&str, &str); 4] = [
    // Debian, Ubuntu
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    // Fedora
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    // Arch
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    // Older Debian
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
];

impl Firmware {
    /// The first pair that is installed.
    ///
    /// # Errors
    /// When none is; the text names the places looked at.
    pub fn find() -> Result<Self> {
        for (code, variables) in PLACES {
            if Path::new(code).exists() && Path::new(variables).exists() {
                return Ok(Self { code: code.into(), variables: variables.into() });
            }
        }
        let places: Vec<_> = PLACES.iter().map(|(code, _)| *code).collect();
        Err(Error::Emulator(format!("no UEFI firmware found; looked for {}", places.join(", "))))
    }

    /// Copies the variable store to `to`, writable.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn copy_variables(&self, to: &Path) -> Result<()> {
        // Not fs::copy: the template may be read-only, and its mode would come along.
        let bytes =
            std::fs::read(&self.variables).map_err(Error::host(format!("reading {}", self.variables.display())))?;
        std::fs::write(to, bytes).map_err(Error::host(format!("writing {}", to.display())))
    }
}

//! The signed description of a model release.
//!
//! A device trusts nothing about a release but this, and checks it before it erases anything. The
//! signature is Ed25519 over [`DOMAIN`] followed by the manifest's bytes; verification is strict.

use ed25519_dalek::{Signature, Signer, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use ed25519_dalek::SigningKey;

use crate::message::Reason;

/// What is signed starts with this, so that a signature means nothing anywhere else. It carries the
/// version of the body's layout.
pub const DOMAIN: &[u8; 26] = b"dunlin model manifest v1\0\0";

/// Longest encoded manifest in bytes.
pub const MAX_MANIFEST: usize = 96;

/// Length of a signature in bytes.
pub const SIGNATURE: usize = 64;

/// A model release, as it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version counter of the release, at least 1; a device only ever moves up.
    pub version: u32,
    /// Kind of hardware that it is for.
    pub hardware_id: u32,
    /// SHA-256 over the whole image: [`image_hash`].
    pub image_hash: [u8; 32],
    /// Length of the image in bytes, at least 1.
    pub image_len: u32,
    /// Length of a block in bytes: a multiple of 16 that divides the erase sector of the device's
    /// flash or is a multiple of it. The last block may be shorter.
    pub block_len: u32,
    /// Arena that the model needs, in bytes.
    pub arena_bytes: u32,
    /// Operators and packings that the firmware must have, as bits.
    pub kernel_set: u32,
    /// Oldest firmware that may run it.
    pub firmware_min: u32,
    /// Newest firmware that may run it.
    pub firmware_max: u32,
}

/// What a device is, to judge a manifest by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub device_id: u64,
    /// Kind of hardware.
    pub hardware_id: u32,
    /// Of the firmware.
    pub firmware_version: u32,
    /// Operators and packings that the firmware holds, as bits.
    pub kernel_set: u32,
    /// Arena that the firmware can give a model, in bytes.
    pub arena_bytes: u32,
    /// Ed25519 key that releases for this device are signed with.
    pub public_key: [u8; 32],
}

/// A manifest's bytes with their signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedManifest {
    bytes: [u8; MAX_MANIFEST],
    len: usize,
    signature: [u8; SIGNATURE],
}

impl SignedManifest {
    /// The encoded manifest.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Its signature.
    pub fn signature(&self) -> &[u8; SIGNATURE] {
        &self.signature
    }

    /// Puts stored bytes and signature together again; nothing is verified. `None` when `bytes` is
    /// longer than [`MAX_MANIFEST`].
    pub fn from_parts(bytes: &[u8], signature: [u8; SIGNATURE]) -> Option<Self> {
        let mut copy = [0; MAX_MANIFEST];
        copy.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self {
            bytes: copy,
            len: bytes.len(),
            signature,
        })
    }
}

/// Why a manifest was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestError {
    /// The bytes are signed, but no manifest that this firmware can read; or a field is absurd.
    Malformed,
    /// The signature does not hold: another key, or bytes that were changed.
    Signature,
    /// For another kind of hardware.
    Hardware {
        /// The kind that the manifest names.
        hardware_id: u32,
    },
    /// The image does not fit in a slot.
    ImageTooLarge {
        /// Bytes that it needs.
        needed: u32,
    },
    /// The model needs more arena than the device has.
    ArenaTooLarge {
        /// Bytes that it needs.
        needed: u32,
    },
    /// The firmware lacks operators or packings.
    Kernels {
        /// The missing ones, as bits.
        missing: u32,
    },
    /// The firmware is older or newer than the release allows.
    Firmware {
        /// Oldest that may run it.
        min: u32,
        /// Newest that may run it.
        max: u32,
    },
    /// The version is not above the confirmed one.
    Version {
        /// The confirmed one.
        confirmed: u32,
    },
    /// This version has failed on this device.
    KnownFailed,
    /// The block length does not suit the flash: see [`Manifest::block_len`].
    BlockLength,
}

impl From<ManifestError> for Reason {
    fn from(error: ManifestError) -> Self {
        match error {
            ManifestError::Malformed => Reason::Malformed,
            ManifestError::Signature => Reason::Signature,
            ManifestError::Hardware { .. } => Reason::Hardware,
            ManifestError::ImageTooLarge { .. } => Reason::ImageTooLarge,
            ManifestError::ArenaTooLarge { .. } => Reason::ArenaTooLarge,
            ManifestError::Kernels { .. } => Reason::Kernels,
            ManifestError::Firmware { .. } => Reason::Firmware,
            ManifestError::Version { .. } => Reason::Version,
            ManifestError::KnownFailed => Reason::KnownFailed,
            ManifestError::BlockLength => Reason::BlockLength,
        }
    }
}

/// The hash that a manifest and `Hello` carry: SHA-256 over all bytes of the image (not the hash
/// inside the image's own header).
pub fn image_hash(image: &[u8]) -> [u8; 32] {
    Sha256::digest(image).into()
}

/// Signs a manifest. Needs neither std nor a heap; deterministic.
pub fn sign(key: &SigningKey, manifest: &Manifest) -> SignedManifest {
    let mut bytes = [0; MAX_MANIFEST];
    // Seven varints of at most five bytes and a hash: always fits, see the test.
    let len = postcard::to_slice(manifest, &mut bytes).map_or(0, |used| used.len());
    let mut message = [0; DOMAIN.len() + MAX_MANIFEST];
    let signature = match signed_bytes(bytes.get(..len).unwrap_or(&[]), &mut message) {
        Some(message) => key.sign(message).to_bytes(),
        None => [0; SIGNATURE],
    };
    SignedManifest {
        bytes,
        len,
        signature,
    }
}

/// Checks the signature of `bytes` and reads them. This alone does not say that the release suits a
/// device: [`Manifest::check`] does.
///
/// # Errors
/// [`ManifestError::Signature`] or [`ManifestError::Malformed`].
pub fn verify(
    bytes: &[u8],
    signature: &[u8],
    public_key: &[u8; 32],
) -> Result<Manifest, ManifestError> {
    let key = VerifyingKey::from_bytes(public_key).map_err(|_| ManifestError::Signature)?;
    let signature = Signature::from_slice(signature).map_err(|_| ManifestError::Signature)?;
    let mut message = [0; DOMAIN.len() + MAX_MANIFEST];
    let message = signed_bytes(bytes, &mut message).ok_or(ManifestError::Malformed)?;
    key.verify_strict(message, &signature)
        .map_err(|_| ManifestError::Signature)?;
    match postcard::take_from_bytes::<Manifest>(bytes) {
        Ok((manifest, [])) => Ok(manifest),
        _ => Err(ManifestError::Malformed),
    }
}

/// `DOMAIN ++ bytes` in `out`; `None` when `bytes` is too long.
fn signed_bytes<'o>(
    bytes: &[u8],
    out: &'o mut [u8; DOMAIN.len() + MAX_MANIFEST],
) -> Option<&'o [u8]> {
    let message = out.get_mut(..DOMAIN.len() + bytes.len())?;
    for (to, from) in message.iter_mut().zip(DOMAIN.iter().chain(bytes)) {
        *to = *from;
    }
    Some(message)
}

impl Manifest {
    /// Blocks in the image.
    pub fn blocks(&self) -> u32 {
        self.image_len.div_ceil(self.block_len.max(1))
    }

    /// Whether the release suits a device, its flash left aside ([`crate::slots`] checks that).
    ///
    /// # Errors
    /// The first thing that does not suit.
    pub fn check(&self, device: &Identity) -> Result<(), ManifestError> {
        if self.version == 0 || self.image_len == 0 {
            return Err(ManifestError::Malformed);
        }
        if self.hardware_id != device.hardware_id {
            return Err(ManifestError::Hardware {
                hardware_id: self.hardware_id,
            });
        }
        if self.arena_bytes > device.arena_bytes {
            return Err(ManifestError::ArenaTooLarge {
                needed: self.arena_bytes,
            });
        }
        let missing = self.kernel_set & !device.kernel_set;
        if missing != 0 {
            return Err(ManifestError::Kernels { missing });
        }
        if !(self.firmware_min..=self.firmware_max).contains(&device.firmware_version) {
            return Err(ManifestError::Firmware {
                min: self.firmware_min,
                max: self.firmware_max,
            });
        }
        Ok(())
    }
}

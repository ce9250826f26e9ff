//! Manifests: what is signed, what is refused.

use ed25519_dalek::{Signer, SigningKey};

use crate::manifest::{
    DOMAIN, Identity, MAX_MANIFEST, Manifest, ManifestError, SignedManifest, image_hash, sign,
    verify,
};

pub fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub fn identity() -> Identity {
    Identity {
        device_id: 0xD0_D1,
        hardware_id: 386,
        firmware_version: 5,
        kernel_set: 0b111,
        arena_bytes: 4096,
        public_key: key().verifying_key().to_bytes(),
    }
}

pub fn manifest(version: u32, image: &[u8], block_len: u32) -> Manifest {
    Manifest {
        version,
        hardware_id: 386,
        image_hash: image_hash(image),
        image_len: image.len() as u32,
        block_len,
        arena_bytes: 4096,
        kernel_set: 0b101,
        firmware_min: 1,
        firmware_max: 5,
    }
}

#[test]
fn the_longest_manifest_fits() {
    let longest = Manifest {
        version: u32::MAX,
        hardware_id: u32::MAX,
        image_hash: [0xFF; 32],
        image_len: u32::MAX,
        block_len: u32::MAX,
        arena_bytes: u32::MAX,
        kernel_set: u32::MAX,
        firmware_min: u32::MAX,
        firmware_max: u32::MAX,
    };
    let signed = sign(&key(), &longest);
    assert_eq!(signed.bytes().len(), 72);
    assert!(signed.bytes().len() <= MAX_MANIFEST);
    let public = identity().public_key;
    assert_eq!(
        verify(signed.bytes(), signed.signature(), &public),
        Ok(longest)
    );
}

#[test]
fn stored_parts_come_back_together() {
    let signed = sign(&key(), &manifest(1, b"image", 16));
    let again = SignedManifest::from_parts(signed.bytes(), *signed.signature());
    assert_eq!(again, Some(signed));
    assert_eq!(
        SignedManifest::from_parts(&[0; MAX_MANIFEST + 1], [0; 64]),
        None
    );
}

#[test]
fn every_tampered_bit_is_refused() {
    let signed = sign(&key(), &manifest(3, b"image", 16));
    let public = identity().public_key;
    for bit in 0..signed.bytes().len() * 8 {
        let mut bytes = signed.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            verify(&bytes, signed.signature(), &public),
            Err(ManifestError::Signature)
        );
    }
    for bit in 0..512 {
        let mut signature = *signed.signature();
        signature[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            verify(signed.bytes(), &signature, &public),
            Err(ManifestError::Signature)
        );
    }
}

#[test]
fn another_key_or_domain_is_refused() {
    let manifest = manifest(3, b"image", 16);
    let signed = sign(&key(), &manifest);
    let other = SigningKey::from_bytes(&[8; 32]);
    let refused = Err(ManifestError::Signature);
    let public = other.verifying_key().to_bytes();
    assert_eq!(
        verify(signed.bytes(), signed.signature(), &public),
        refused.clone()
    );
    // A signature over the bytes alone, as some other protocol might give one.
    let bare = key().sign(signed.bytes()).to_bytes();
    assert_eq!(
        verify(signed.bytes(), &bare, &identity().public_key),
        refused
    );
    for len in [0, 63, 65] {
        assert_eq!(
            verify(signed.bytes(), &[1; 65][..len], &public),
            Err(ManifestError::Signature)
        );
    }
}

#[test]
fn signed_nonsense_is_malformed() {
    let bytes = [1, 2, 3];
    let mut message = DOMAIN.to_vec();
    message.extend(bytes);
    let signature = key().sign(&message).to_bytes();
    assert_eq!(
        verify(&bytes, &signature, &identity().public_key),
        Err(ManifestError::Malformed)
    );
}

#[test]
fn what_does_not_suit_the_device_is_refused_by_name() {
    let device = identity();
    let good = manifest(1, b"image", 16);
    assert_eq!(good.check(&device), Ok(()));
    let cases = [
        (Manifest { version: 0, ..good }, ManifestError::Malformed),
        (
            Manifest {
                image_len: 0,
                ..good
            },
            ManifestError::Malformed,
        ),
        (
            Manifest {
                hardware_id: 385,
                ..good
            },
            ManifestError::Hardware { hardware_id: 385 },
        ),
        (
            Manifest {
                arena_bytes: 4097,
                ..good
            },
            ManifestError::ArenaTooLarge { needed: 4097 },
        ),
        (
            Manifest {
                kernel_set: 0b1101,
                ..good
            },
            ManifestError::Kernels { missing: 0b1000 },
        ),
        (
            Manifest {
                firmware_min: 6,
                firmware_max: 9,
                ..good
            },
            ManifestError::Firmware { min: 6, max: 9 },
        ),
        (
            Manifest {
                firmware_max: 4,
                ..good
            },
            ManifestError::Firmware { min: 1, max: 4 },
        ),
    ];
    for (manifest, error) in cases {
        assert_eq!(manifest.check(&device), Err(error));
    }
}

//! Releases: compiled per board, signed, stored with the run they come from, offered to all.

use edge_compiler::{AlignedBytes, CompileError, Target, TargetError};
use edge_runtime::Model;
use edge_sync::manifest::{self, Manifest, SignedManifest, SigningKey};
use host_trainer::run::{Run, RunError};

use crate::server::Fleet;
use crate::store::{Store, StoreError};

/// Length of the blocks that devices fetch, in bytes.
pub const BLOCK_LEN: u32 = 1024;

/// One image of a release.
#[derive(Clone)]
pub struct ReleaseImage {
    /// Kind of hardware it is for.
    pub hardware_id: u32,
    /// Name of the board it was compiled for.
    pub target: String,
    /// The image, executable in place.
    pub image: AlignedBytes,
    /// What is signed.
    pub manifest: Manifest,
    /// The same as bytes, with the signature.
    pub signed: SignedManifest,
}

/// A release: one model, one image per kind of hardware.
#[derive(Clone)]
pub struct Release {
    /// Version counter, from 1.
    pub version: u32,
    /// Labels of the model's classes, in the order of its outputs.
    pub labels: Vec<String>,
    /// The images.
    pub images: Vec<ReleaseImage>,
}

impl Release {
    /// The image for a kind of hardware.
    #[must_use]
    pub fn image(&self, hardware_id: u32) -> Option<&ReleaseImage> {
        self.images
            .iter()
            .find(|image| image.hardware_id == hardware_id)
    }
}

/// How far a release has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// The release.
    pub version: u32,
    /// Enrolled devices.
    pub devices: usize,
    /// Devices that run its image, past the trial, by their own word and hash.
    pub updated: Vec<u64>,
    /// Devices that run it on trial.
    pub on_trial: Vec<u64>,
    /// Devices that gave it up or refused it, with the reason.
    pub failed: Vec<(u64, String)>,
}

impl Rollout {
    /// Every device runs it.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.updated.len() == self.devices
    }
}

/// Why there is no release.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// Nothing was released yet.
    #[error("nothing was released yet: release a trained run first")]
    None,
    /// No such release.
    #[error("there is no release {version}")]
    Unknown {
        /// Version asked for.
        version: u32,
    },
    /// A device's board is unknown.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The model does not compile for a board of the fleet.
    #[error("for board {target}: {source}")]
    Compile {
        /// The board.
        target: String,
        /// What the compiler says.
        source: Box<CompileError>,
    },
    /// The run cannot be encoded, or a stored one not be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ReleaseError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Fleet {
    /// Compiles `run` for every board in the fleet (for `host` while it is empty), signs the images
    /// with the next version, stores them with the run, and offers them to all devices.
    ///
    /// # Errors
    /// [`ReleaseError`]; nothing is stored or offered then.
    pub async fn release(&mut self, run: &Run, created_ms: u64) -> Result<&Release, ReleaseError> {
        let version = self.store.latest_version().await?.unwrap_or(0) + 1;
        let mut targets = self.targets();
        if targets.is_empty() {
            targets.push(Target::host().name);
        }
        let mut images = Vec::new();
        for target in &targets {
            images.push(compile_image(
                run,
                &Target::board(target)?,
                version,
                &self.key,
            )?);
        }
        self.store
            .add_release(version, created_ms, run, &images)
            .await?;
        let release = Release {
            version,
            labels: run.package.labels.clone(),
            images,
        };
        self.release = Some(release);
        self.offer();
        self.release.as_ref().ok_or(ReleaseError::None)
    }

    /// The present release.
    #[must_use]
    pub fn current_release(&self) -> Option<&Release> {
        self.release.as_ref()
    }

    /// The run of a stored release: recipe, float checkpoint, package, reference.
    ///
    /// # Errors
    /// [`ReleaseError::Unknown`], or where the stored run cannot be read.
    pub async fn run(&self, version: u32) -> Result<Run, ReleaseError> {
        self.store.run(version).await
    }

    /// How far the present release has come, by what is committed.
    ///
    /// # Errors
    /// [`ReleaseError::None`], or the database failed.
    pub async fn rollout(&self) -> Result<Rollout, ReleaseError> {
        let release = self.release.as_ref().ok_or(ReleaseError::None)?;
        let devices = self.store.devices().await?;
        let mut rollout = Rollout {
            version: release.version,
            devices: devices.len(),
            updated: Vec::new(),
            on_trial: Vec::new(),
            failed: Vec::new(),
        };
        for device in devices {
            let wanted = release
                .image(device.hardware_id)
                .map(|i| i.manifest.image_hash);
            if device.model_version != Some(release.version) || device.model_hash != wanted {
                continue;
            }
            let list = if device.model_trial {
                &mut rollout.on_trial
            } else {
                &mut rollout.updated
            };
            list.push(device.device);
        }
        for update in self.store.updates(release.version).await? {
            if matches!(update.state.as_str(), "Failed" | "Refused") {
                rollout.failed.push((update.device, update.reason));
            }
        }
        Ok(rollout)
    }
}

/// Compiles and signs the image for one board.
pub(crate) fn compile_image(
    run: &Run,
    target: &Target,
    version: u32,
    key: &SigningKey,
) -> Result<ReleaseImage, ReleaseError> {
    let compiled = run
        .compile(target)
        .map_err(|source| ReleaseError::Compile {
            target: target.name.clone(),
            source: Box::new(source),
        })?;
    let image = compiled.image;
    // The compiler has loaded its own image; a release that could not be would be its defect.
    let model = Model::load(&image).map_err(|_| StoreError::Content {
        what: "a new image",
    })?;
    let manifest = Manifest {
        version,
        hardware_id: target.hardware_id,
        image_hash: manifest::image_hash(&image),
        image_len: image.len() as u32,
        block_len: BLOCK_LEN,
        arena_bytes: model.arena_bytes() as u32,
        kernel_set: model.kernel_set(),
        firmware_min: 0,
        firmware_max: u32::MAX,
    };
    let signed = manifest::sign(key, &manifest);
    Ok(ReleaseImage {
        hardware_id: target.hardware_id,
        target: target.name.clone(),
        image,
        manifest,
        signed,
    })
}

impl Store {
    async fn latest_version(&self) -> Result<Option<u32>, StoreError> {
        let sql = "SELECT max(version) FROM releases";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    async fn add_release(
        &self,
        version: u32,
        created_ms: u64,
        run: &Run,
        images: &[ReleaseImage],
    ) -> Result<(), ReleaseError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("INSERT INTO releases (version, created_ms, run) VALUES (?, ?, ?)")
            .bind(version)
            .bind(created_ms as i64)
            .bind(run.to_bytes()?)
            .execute(&mut *tx)
            .await?;
        for image in images {
            insert_image(&mut tx, version, image).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub(crate) async fn add_image(
        &self,
        version: u32,
        image: &ReleaseImage,
    ) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        insert_image(&mut connection, version, image).await
    }

    pub(crate) async fn run(&self, version: u32) -> Result<Run, ReleaseError> {
        let bytes: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT run FROM releases WHERE version = ?")
                .bind(version)
                .fetch_optional(&self.pool)
                .await?;
        Ok(Run::from_bytes(
            &bytes.ok_or(ReleaseError::Unknown { version })?,
        )?)
    }

    pub(crate) async fn latest_release(&self) -> Result<Option<Release>, StoreError> {
        let Some(version) = self.latest_version().await? else {
            return Ok(None);
        };
        type Columns = (u32, String, Vec<u8>, Vec<u8>, Vec<u8>);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT hardware_id, target, image, manifest, signature FROM images \
             WHERE version = ? ORDER BY hardware_id",
        )
        .bind(version)
        .fetch_all(&self.pool)
        .await?;
        let content = |what| StoreError::Content { what };
        let mut release = Release {
            version,
            labels: Vec::new(),
            images: Vec::new(),
        };
        for (hardware_id, target, image, bytes, signature) in rows {
            let image = AlignedBytes::from(&image[..]);
            let model = Model::load(&image).map_err(|_| content("an image"))?;
            release.labels = model.labels().map(str::to_owned).collect();
            let manifest: Manifest =
                postcard::from_bytes(&bytes).map_err(|_| content("a manifest"))?;
            let signed = signature
                .try_into()
                .ok()
                .and_then(|signature| SignedManifest::from_parts(&bytes, signature))
                .ok_or(content("a signature"))?;
            release.images.push(ReleaseImage {
                hardware_id,
                target,
                image,
                manifest,
                signed,
            });
        }
        Ok(Some(release))
    }
}

async fn insert_image(
    connection: &mut sqlx::SqliteConnection,
    version: u32,
    image: &ReleaseImage,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO images (version, hardware_id, target, image, manifest, signature) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(version)
    .bind(image.hardware_id)
    .bind(&image.target)
    .bind(&image.image[..])
    .bind(image.signed.bytes())
    .bind(&image.signed.signature()[..])
    .execute(connection)
    .await?;
    Ok(())
}

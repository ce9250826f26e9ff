//! What can go wrong with the database.

use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;

/// Why the database cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file is damaged or no SQLite database.
    #[error(
        "{} is damaged or no database ({message}); move it away or name another file",
        path.display()
    )]
    Corrupt {
        /// The file; empty when the damage showed after opening.
        path: PathBuf,
        /// What SQLite says.
        message: String,
    },
    /// A sound SQLite database, of another program.
    #[error("{} is the database of another program; name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version of Dunlin.
    #[error("{} was written by a later version of Dunlin; update this one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// A stored value cannot be read back.
    #[error("the database holds {what} that cannot be read")]
    Content {
        /// What it is.
        what: &'static str,
    },
    /// Any other failure of the database.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// Bringing the database up to date failed.
    #[error("the database could not be brought up to date: {0}")]
    Migration(#[source] MigrateError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // SQLITE_CORRUPT and SQLITE_NOTADB, whose extended codes keep these in the low byte.
        let code = error
            .as_database_error()
            .and_then(|e| e.code()?.parse::<u32>().ok());
        match code.map(|code| code & 0xFF) {
            Some(11 | 26) => Self::Corrupt {
                path: PathBuf::new(),
                message: error.to_string(),
            },
            _ => Self::Database(error),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(_)
            | MigrateError::VersionMismatch(_)
            | MigrateError::VersionTooNew(..) => Self::Newer {
                path: PathBuf::new(),
            },
            MigrateError::Execute(error) => error.into(),
            other => Self::Migration(other),
        }
    }
}

impl StoreError {
    /// Names the file.
    pub(super) fn at(mut self, file: &Path) -> Self {
        if let Self::Corrupt { path, .. } | Self::Foreign { path } | Self::Newer { path } =
            &mut self
        {
            file.clone_into(path);
        }
        self
    }
}

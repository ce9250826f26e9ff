//! The fleet's database: one SQLite file.
//!
//! Write-ahead log with `synchronous=FULL`: a commit that returned is on the disk. There is one
//! connection, because SQLite has one writer and the loop asks one question at a time.

mod error;
mod ingest;
mod queries;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqlitePool};

pub use error::StoreError;
pub use ingest::Committed;
pub(crate) use ingest::{Content, Received, samples_of};
pub use queries::{DeviceRow, Totals, UpdateRow};

/// Marks a file as a fleet database: "DNLF".
const APPLICATION_ID: i64 = 0x444E_4C46;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// An open fleet database.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: SqlitePool,
}

impl Store {
    /// Opens the database at `path`, makes it if there is none, and brings an older one up to date.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a damaged file or one that is no database,
    /// [`StoreError::Foreign`] for the database of another program, [`StoreError::Newer`] for one
    /// written by a later version, [`StoreError::Database`] for the rest.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let at = |error: sqlx::Error| StoreError::from(error).at(path);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(at)?;
        let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master")
            .fetch_one(&pool)
            .await
            .map_err(at)?;
        let id: i64 = sqlx::query_scalar("PRAGMA application_id")
            .fetch_one(&pool)
            .await
            .map_err(at)?;
        if tables == 0 && id == 0 {
            // The value of APPLICATION_ID: a pragma takes no parameters.
            sqlx::query("PRAGMA application_id = 1145982022")
                .execute(&pool)
                .await
                .map_err(at)?;
        } else if id != APPLICATION_ID {
            return Err(StoreError::Foreign {
                path: path.to_owned(),
            });
        }
        let check: String = sqlx::query("PRAGMA quick_check(1)")
            .fetch_one(&pool)
            .await
            .map_err(at)?
            .get(0);
        if check != "ok" {
            return Err(StoreError::Corrupt {
                path: path.to_owned(),
                message: check,
            });
        }
        MIGRATIONS
            .run(&pool)
            .await
            .map_err(|error| StoreError::from(error).at(path))?;
        Ok(Self { pool })
    }

    /// The connection, for questions that this crate does not ask.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Closes the file. Dropping the store does as well, a little later; nothing committed is lost
    /// either way.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

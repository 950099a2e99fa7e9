//! GameVault's databases, as its versions make them, in both engines, with a user of each kind.

use super::{postgres::Postgres, program::Folder};
use rollcall::users::{DatabasePlace, PostgresPlace};
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio_postgres::Client;

/// Which GameVault made the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V14,
    V16,
}

impl Version {
    pub const ALL: [Version; 2] = [Version::V14, Version::V16];

    pub fn key_column(self) -> &'static str {
        match self {
            Version::V14 => "socket_secret",
            Version::V16 => "api_key",
        }
    }
}

pub struct User {
    pub id: u64,
    pub name: &'static str,
    pub role: u8,
    pub is_activated: bool,
    pub is_deleted: bool,
    /// What a handshake with its key is answered.
    pub status: u16,
}

const fn user(id: u64, name: &'static str, role: u8, is_activated: bool, status: u16) -> User {
    let is_deleted = false;
    User {
        id,
        name,
        role,
        is_activated,
        is_deleted,
        status,
    }
}

/// A user of each kind.
pub const USERS: [User; 9] = [
    user(1, "Alice", 1, true, 101),
    user(2, "bob", 1, false, 403),
    User {
        is_deleted: true,
        ..user(3, "carol", 1, true, 401)
    },
    user(4, "dave", 3, false, 101),
    user(5, "gvbot_achievements", 1, true, 101),
    user(6, "erin", 0, true, 101),
    User {
        is_deleted: true,
        ..user(7, "frank", 3, true, 401)
    },
    user(8, "grace", 2, true, 101),
    user(9, "heidi", 3, true, 101),
];

/// What all of them have for a password.
pub const PASSWORD: &str = "correct horse";

/// The key of the user with this id.
pub fn key(id: u64) -> String {
    format!("{id:064x}")
}

fn insert(user: &User, version: Version, hash: &str) -> String {
    format!(
        "INSERT INTO gamevault_user (id, entity_version, username, password, {}, activated, role, deleted_at) \
         VALUES ({}, 1, '{}', '{hash}', '{}', {}, '{}', {});",
        version.key_column(),
        user.id,
        user.name,
        key(user.id),
        user.is_activated,
        user.role,
        if user.is_deleted {
            "'2026-11-23 21:43:21'"
        } else {
            "NULL"
        }
    )
}

/// Another ordinary user, to be inserted.
pub fn newcomer(id: u64, version: Version) -> String {
    let name = Box::leak(format!("user {id}").into_boxed_str());
    insert(&user(id, name, 1, true, 101), version, "")
}

/// The tables, and all users.
pub fn content(version: Version, is_postgres: bool) -> String {
    let key_column = version.key_column();
    let (role_type, id, time, boolean) = match is_postgres {
        true => (
            "gamevault_user_role_enum",
            "serial PRIMARY KEY",
            "timestamp",
            "boolean",
        ),
        false => (
            "varchar CHECK (role IN ('0','1','2','3'))",
            "integer PRIMARY KEY AUTOINCREMENT",
            "datetime",
            "boolean",
        ),
    };
    let before = match is_postgres {
        true => "CREATE TYPE gamevault_user_role_enum AS ENUM ('0', '1', '2', '3');",
        false => "",
    };
    let table = format!(
        "{before} CREATE TABLE gamevault_user (
            id {id} NOT NULL, created_at {time} NOT NULL DEFAULT CURRENT_TIMESTAMP,
            updated_at {time} NOT NULL DEFAULT CURRENT_TIMESTAMP, deleted_at {time}, entity_version integer NOT NULL,
            username varchar NOT NULL UNIQUE, password varchar NOT NULL, {key_column} varchar(64) UNIQUE,
            email varchar UNIQUE, first_name varchar, last_name varchar, birth_date {time},
            activated {boolean} NOT NULL DEFAULT false, role {role_type} NOT NULL DEFAULT '1',
            avatar_id integer UNIQUE, background_id integer UNIQUE);"
    );
    // As GameVault makes them; once, as it takes a while.
    static HASH: LazyLock<String> = LazyLock::new(|| bcrypt::hash(PASSWORD, 10).expect("a hash"));
    let users = USERS.iter().map(|user| insert(user, version, &HASH));
    // One who has no key at all.
    let keyless = "INSERT INTO gamevault_user (id, entity_version, username, password, activated) \
                   VALUES (10, 1, 'ivan', '', true);";
    users.fold(table, |sql, user| sql + &user) + keyless
}

/// A database that can be changed, as its backend would, and be given to Rollcall.
pub enum Database {
    Sqlite {
        folder: Folder,
    },
    Postgres {
        server: Arc<Postgres>,
        name: String,
        owner: Client,
    },
}

impl Database {
    pub fn sqlite(version: Version) -> Database {
        let folder = Folder::new();
        let database = Database::Sqlite { folder };
        database
            .sqlite_connection()
            .execute_batch(&content(version, false))
            .expect("SQL");
        database
    }

    /// Of the server that tests share.
    pub async fn postgres(version: Version) -> Database {
        Self::on(Postgres::shared(), version).await
    }

    pub async fn on(server: Arc<Postgres>, version: Version) -> Database {
        let name = server.create_database().await;
        let owner = server.connect(&name).await;
        owner
            .batch_execute(&content(version, true))
            .await
            .expect("SQL");
        owner
            .batch_execute(&server.grant(version))
            .await
            .expect("SQL");
        Database::Postgres {
            server,
            name,
            owner,
        }
    }

    /// Both engines.
    pub async fn each(version: Version) -> [Database; 2] {
        [Self::sqlite(version), Self::postgres(version).await]
    }

    pub fn sqlite_file(&self) -> PathBuf {
        match self {
            Database::Sqlite { folder } => folder.0.join("database.sqlite"),
            Database::Postgres { .. } => panic!("it is a server"),
        }
    }

    /// A connection of the backend's.
    pub fn sqlite_connection(&self) -> Connection {
        Connection::open(self.sqlite_file()).expect("a file")
    }

    /// Changes it, as the backend would.
    pub async fn execute(&self, sql: &str) {
        match self {
            Database::Sqlite { .. } => {
                let connection = self.sqlite_connection();
                connection
                    .busy_timeout(Duration::from_secs(5))
                    .expect("SQLite");
                connection.execute_batch(sql).expect(sql);
            }
            Database::Postgres { owner, .. } => owner.batch_execute(sql).await.expect(sql),
        }
    }

    pub fn place(&self) -> DatabasePlace {
        match self {
            Database::Sqlite { .. } => DatabasePlace::Sqlite(self.sqlite_file()),
            Database::Postgres { server, name, .. } => DatabasePlace::Postgres(PostgresPlace {
                host: "127.0.0.1".to_owned(),
                port: server.port,
                username: server.role.clone(),
                password: Some(server.password.clone()),
                database: name.clone(),
                tls: None,
            }),
        }
    }

    /// The settings that lead there.
    pub fn variables(&self) -> Vec<(String, String)> {
        let pairs: Vec<(&str, String)> = match self {
            Database::Sqlite { folder } => vec![
                ("DB_SYSTEM", "SQLITE".to_owned()),
                ("VOLUMES_SQLITEDB", folder.0.display().to_string()),
            ],
            Database::Postgres { server, name, .. } => vec![
                ("DB_SYSTEM", "POSTGRESQL".to_owned()),
                ("DB_HOST", "127.0.0.1".to_owned()),
                ("DB_PORT", server.port.to_string()),
                ("DB_USERNAME", server.role.clone()),
                ("DB_PASSWORD", server.password.clone()),
                ("DB_DATABASE", name.clone()),
            ],
        };
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// All that is there, to see whether anything changes: of a file its bytes and its neighbours, of a server the rows,
    /// and which transaction has written each.
    pub async fn everything(&self) -> Vec<String> {
        match self {
            Database::Sqlite { folder } => folder_content(&folder.0),
            Database::Postgres { owner, .. } => {
                // A change of a row, or a lock on it, is seen by its hidden columns, even if all is as it was.
                let sql = "SELECT (u, ctid, xmin, xmax)::text FROM gamevault_user u ORDER BY 1";
                let rows = owner.query(sql, &[]).await.expect("rows");
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }
}

/// The names of the files, with their digests. By other processes: to close a file would give up the locks that SQLite
/// has on it in this one.
pub fn folder_content(folder: &Path) -> Vec<String> {
    let mut content: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let summed = Command::new("sha256sum").arg(path).output();
            String::from_utf8(summed.expect("sha256sum").stdout).expect("text")
        })
        .collect();
    content.sort();
    content
}

//! SQLite: the file of GameVault's that is beside us, opened so that nothing is written, not even by SQLite itself.
//!
//! The connection cannot write (`mode=ro`). It does not read a database of which a writer has left a piece in its
//! journal, since that would have to be put back first; its owner does that. Beside a database in WAL mode there are two
//! files that readers and writers share. They are not changed (`readonly_shm`), and where there are none SQLite is not
//! asked, since it would make one even so.

use super::super::{DatabaseError, Trouble};
use super::question::{COLUMNS, KEY_COLUMNS, KeyColumn, Question, TABLE};
use super::row::Row;
use super::source::{Answer, Source};
use rusqlite::{Connection, ErrorCode, OpenFlags, types::ValueRef};
use std::{
    collections::HashSet,
    fmt, fs, future,
    io::Read,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{self, Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Mutex, task};

/// The setting to look at.
const SETTING: &str = "VOLUMES_SQLITEDB";

/// How long a lookup waits for another program to end its writing: less than a client waits for the lookup.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// How an id is in a list: of JSON, since there are no arrays.
const IS_AMONG: &str = "id IN (SELECT value FROM json_each($1))";

/// A database file.
pub(super) struct Sqlite {
    file: Arc<PathBuf>,
    /// None: it has to be opened. Held while it is asked; one question at a time.
    open: Arc<Mutex<Option<Open>>>,
}

/// The file as it was opened.
struct Open {
    connection: Connection,
    keys: KeyColumn,
    version: Version,
}

/// Tells the file as it is from what it was: something else may have been put in its place, or its mode changed.
#[derive(PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

impl Sqlite {
    pub(super) fn new(file: PathBuf) -> Result<Sqlite, DatabaseError> {
        // SQLite would take a name like `-` or `:memory:` for something else.
        let file = path::absolute(&file).map_err(|error| unusable(&file, error))?;
        Ok(Sqlite {
            file: Arc::new(file),
            open: Arc::default(),
        })
    }

    /// On a thread that may wait for the disk, and for whoever writes.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Option<Open>, &Path) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let mut open = Arc::clone(&self.open).lock_owned().await;
        let file = Arc::clone(&self.file);
        let done = task::spawn_blocking(move || work(&mut open, &file)).await;
        done.unwrap_or_else(|error| Err(unusable(&self.file, error)))
    }
}

impl fmt::Display for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the SQLite file {}", self.file.display())
    }
}

impl Source for Sqlite {
    /// There is one connection, and one question at a time on it.
    const AT_ONCE: usize = 1;

    async fn connect(&self) -> Result<(), DatabaseError> {
        self.work(|open, file| {
            *open = None;
            *open = Some(Open::at(file)?);
            Ok(())
        })
        .await
    }

    async fn ask(&self, question: Question) -> Result<Answer, DatabaseError> {
        self.work(move |open, file| ask(open, file, &question))
            .await
    }

    /// It is looked at again with each question.
    async fn lost(&self) -> DatabaseError {
        future::pending().await
    }

    fn silence(&self) -> DatabaseError {
        let problem = format!("{} does not answer in time", self.file.display());
        DatabaseError::new(Trouble::Unreachable, SETTING, problem)
    }

    fn emptiness(&self) -> DatabaseError {
        let problem = format!(
            "{} has no users at all, though some are connected: expected those of GameVault",
            self.file.display()
        );
        DatabaseError::new(Trouble::Empty, SETTING, problem)
    }
}

/// Asks the file that is there now.
fn ask(open: &mut Option<Open>, file: &Path, question: &Question) -> Result<Answer, DatabaseError> {
    let version = version(file)?;
    if let Some(known) = open.take_if(|open| open.version == version) {
        match known.ask(question) {
            Ok(answer) => {
                *open = Some(known);
                return Ok(answer);
            }
            // To try again would take as long again.
            Err(error) if is_busy(&error) => return Err(explain(file, &error)),
            // Its tables may have changed.
            Err(_outdated) => {}
        }
    }
    *open = None;
    let new = Open::at(file)?;
    let answer = new.ask(question).map_err(|error| explain(file, &error))?;
    *open = Some(new);
    Ok(answer)
}

impl Open {
    /// Nobody may have it open here: to close a file, as is done after a look at it, would give up the locks of all who
    /// have.
    fn at(file: &Path) -> Result<Open, DatabaseError> {
        let version = version(file)?;
        look_at_mode(file)?;
        let explain = |error| explain(file, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri(file), flags).map_err(explain)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(explain)?;
        let columns = columns(&connection).map_err(explain)?;
        let keys = keys(file, &columns)?;
        Ok(Open {
            connection,
            keys,
            version,
        })
    }

    fn ask(&self, question: &Question) -> rusqlite::Result<Answer> {
        let mut statement = self
            .connection
            .prepare(&question.sql(self.keys, IS_AMONG))?;
        match question {
            Question::Key(text) | Question::Name(text) => statement.raw_bind_parameter(1, text)?,
            // Ids are below 2^53.
            Question::Id(id) => statement.raw_bind_parameter(1, i64::try_from(*id).unwrap_or(0))?,
            Question::These(ids) => {
                let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
                statement.raw_bind_parameter(1, format!("[{}]", ids.join(",")))?;
            }
            Question::All | Question::Anyone => {}
        }
        let mut rows = Vec::new();
        let mut found = statement.raw_query();
        while let Some(row) = found.next()? {
            rows.push(read(row)?);
        }
        let keys = self.keys;
        Ok(Answer { rows, keys })
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let number = |column| match row.get_ref(column)? {
        ValueRef::Integer(number) => Ok::<_, rusqlite::Error>(number),
        // A column has in each row what was put there.
        _ => Ok(0),
    };
    let text = |column| match row.get_ref(column)? {
        ValueRef::Text(text) => {
            Ok::<_, rusqlite::Error>(Some(String::from_utf8_lossy(text).into_owned()))
        }
        _ => Ok(None),
    };
    Ok(Row {
        id: number(0)?,
        username: text(1)?.unwrap_or_default(),
        role: text(2)?.unwrap_or_default(),
        is_activated: number(3)? != 0,
        deleted_at: text(4)?,
        key: text(5)?,
        password: text(6)?,
    })
}

/// The columns of the table of users; none: there is no such table.
fn columns(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut statement =
        connection.prepare(&format!("SELECT name FROM pragma_table_info('{TABLE}')"))?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Where the keys are, if all is there that is read.
fn keys(file: &Path, columns: &HashSet<String>) -> Result<KeyColumn, DatabaseError> {
    let wrong = |problem: String| {
        let problem = format!("{} {problem}", file.display());
        Err(DatabaseError::new(Trouble::Schema, SETTING, problem))
    };
    if columns.is_empty() {
        return wrong(format!(
            "has no table {TABLE}: expected GameVault's database, after its first start"
        ));
    }
    if let Some(missing) = COLUMNS.iter().find(|column| !columns.contains(**column)) {
        return wrong(format!(
            "has no column {missing} in the table {TABLE}: expected that of GameVault"
        ));
    }
    match KeyColumn::of(|column| columns.contains(column)) {
        Some(keys) => Ok(keys),
        None => wrong(format!(
            "has neither of the columns {} in the table {TABLE}: expected that of GameVault",
            KEY_COLUMNS.join(" and ")
        )),
    }
}

/// The file that has this name now.
fn version(file: &Path) -> Result<Version, DatabaseError> {
    let metadata = fs::metadata(file).map_err(|error| {
        let problem = format!(
            "{}: {error}; expected the folder in which GameVault has its database.sqlite",
            file.display()
        );
        DatabaseError::new(Trouble::Unreachable, SETTING, problem)
    })?;
    if !metadata.is_file() {
        return Err(unusable(
            file,
            "it is not a file; expected GameVault's database",
        ));
    }
    Ok(Version {
        device: metadata.dev(),
        inode: metadata.ino(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        bytes: metadata.len(),
    })
}

/// Whether the file can be read at all, and without making another one.
fn look_at_mode(file: &Path) -> Result<(), DatabaseError> {
    /// Where the header says how the database is read, and that it is by way of a WAL.
    const READ_VERSION: u64 = 19;
    const WAL: u8 = 2;
    let mut header = Vec::new();
    let read =
        fs::File::open(file).and_then(|file| file.take(READ_VERSION + 1).read_to_end(&mut header));
    read.map_err(|error| {
        let problem = format!(
            "{} cannot be opened: {error}; expected that the user that runs this server may read it",
            file.display()
        );
        DatabaseError::new(Trouble::NoRights, SETTING, problem)
    })?;
    let is_whole = header.len() as u64 > READ_VERSION;
    let has = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        Path::new(&name).exists()
    };
    if is_whole && header.last() == Some(&WAL) && !(has("-wal") && has("-shm")) {
        let problem = format!(
            "{} is in WAL mode, and can only be read while another program has it open: expected that GameVault runs",
            file.display()
        );
        return Err(DatabaseError::new(Trouble::Other, SETTING, problem));
    }
    Ok(())
}

/// The name as SQLite wants it, with what is to be different from usual.
fn uri(file: &Path) -> String {
    let mut uri = "file://".to_owned();
    for &byte in file.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri + "?mode=ro&readonly_shm=1"
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn unusable(file: &Path, problem: impl fmt::Display) -> DatabaseError {
    let problem = format!("{} cannot be used: {problem}", file.display());
    DatabaseError::new(Trouble::Other, SETTING, problem)
}

/// What SQLite says, in the operator's words.
fn explain(file: &Path, error: &rusqlite::Error) -> DatabaseError {
    let name = file.display();
    let (trouble, problem) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Trouble::Busy,
            format!("{name} is locked by another program that writes to it"),
        ),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
            Trouble::NoDatabase,
            format!("{name} is not a database, or is damaged: expected GameVault's ({error})"),
        ),
        Some(ErrorCode::ReadOnly) => (
            Trouble::Other,
            format!(
                "{name} was not closed properly by the last program that wrote to it: expected that GameVault runs, \
                 which repairs it ({error})"
            ),
        ),
        _ => (Trouble::Other, format!("{name} cannot be read: {error}")),
    };
    DatabaseError::new(trouble, SETTING, problem)
}

//! PostgreSQL: GameVault's server, asked over one connection, in transactions that cannot write.
//!
//! Questions are sent without being prepared, in one round trip each: there is no statement that a change of the tables
//! could make stale.

mod tls;
mod trouble;

use super::super::{DatabaseError, PostgresPlace};
use super::question::{COLUMNS, KeyColumn, Question, TABLE};
use super::row::Row;
use super::source::{Answer, Source};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tls::Tls;
use tokio::sync::Notify;
use tokio_postgres::{
    Client, Config, Connection, NoTls,
    config::SslMode,
    error::SqlState,
    tls::TlsStream,
    types::{ToSql, Type},
};
use trouble::Explained;

/// How an id is in a list.
const IS_AMONG: &str = "id = ANY($1)";

/// What holds for the connection: a transaction cannot write, and a question whose answer nobody waits for any more ends.
const OPTIONS: &str = "-c default_transaction_read_only=on -c statement_timeout=5000";

/// When a connection is silent for so long, the kernel asks whether the server is there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// How long the server's kernel may be silent to something that was sent.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);

/// The columns of the table of users that the role can see, each with whether it may read it.
const VISIBLE_COLUMNS: &str = "SELECT attname::text, has_column_privilege(attrelid, attnum, 'SELECT') \
    FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";

/// A database on a server.
pub(super) struct Postgres {
    place: PostgresPlace,
    config: Config,
    tls: Option<Tls>,
    /// None: not connected yet.
    link: Mutex<Option<Arc<Link>>>,
    /// Told when a connection ends, be it the last one or one before.
    ended: Arc<Notify>,
}

/// A connection.
struct Link {
    client: Client,
    /// Where the keys are, as it was last seen.
    keys: Mutex<KeyColumn>,
}

impl Postgres {
    pub(super) fn new(place: PostgresPlace) -> Result<Postgres, DatabaseError> {
        let tls = place.tls.as_ref().map(Tls::new).transpose()?;
        let mut config = Config::new();
        config
            .host(&place.host)
            .port(place.port)
            .user(&place.username)
            .dbname(&place.database)
            .application_name("rollcall")
            .options(OPTIONS)
            .keepalives_idle(KEEPALIVE_IDLE)
            .tcp_user_timeout(TCP_USER_TIMEOUT)
            .ssl_mode(match tls {
                Some(_) => SslMode::Require,
                None => SslMode::Disable,
            });
        if let Some(password) = &place.password {
            config.password(password);
        }
        Ok(Postgres {
            place,
            config,
            tls,
            link: Mutex::default(),
            ended: Arc::default(),
        })
    }

    fn link(&self) -> Option<Arc<Link>> {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        link.clone()
    }

    async fn dial(&self) -> Result<Client, tokio_postgres::Error> {
        match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                self.attend(connection);
                Ok(client)
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                self.attend(connection);
                Ok(client)
            }
        }
    }

    /// Lets the connection do its work, in a task of its own, which ends with it.
    fn attend<T>(&self, connection: Connection<tokio_postgres::Socket, T>)
    where
        T: TlsStream + Unpin + Send + 'static,
    {
        let ended = Arc::clone(&self.ended);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                log::debug!("a connection to the database ended: {}", Explained(&error));
            }
            ended.notify_one();
        });
    }

    /// Where the keys are, if all is there that is read, and may be read.
    async fn find_keys(&self, client: &Client) -> Result<KeyColumn, DatabaseError> {
        let found = client
            .query_typed(VISIBLE_COLUMNS, &[(&TABLE, Type::TEXT)])
            .await
            .map_err(|error| trouble::explain(&self.place, &error))?;
        let mut columns: HashMap<String, bool> = HashMap::new();
        for row in found {
            let column = row.try_get(0).and_then(|name| Ok((name, row.try_get(1)?)));
            columns.extend([column.map_err(|error| trouble::explain(&self.place, &error))?]);
        }
        if columns.is_empty() {
            return Err(trouble::no_table(&self.place));
        }
        let missing = COLUMNS
            .iter()
            .find(|column| !columns.contains_key(**column));
        if let Some(missing) = missing {
            return Err(trouble::no_column(&self.place, missing));
        }
        let may_read = |column: &str| columns.get(column).copied().unwrap_or_default();
        let has_keys = KeyColumn::of(|column| columns.contains_key(column)).is_some();
        if !has_keys {
            return Err(trouble::no_keys(&self.place));
        }
        match KeyColumn::of(may_read) {
            Some(keys) if COLUMNS.into_iter().all(may_read) => Ok(keys),
            _ => Err(trouble::no_rights(&self.place)),
        }
    }

    async fn put(
        &self,
        client: &Client,
        question: &Question,
        keys: KeyColumn,
    ) -> Result<Answer, tokio_postgres::Error> {
        let sql = question.sql(keys, IS_AMONG);
        let ids: Vec<i64>;
        let id: i64;
        // Ids are below 2^53.
        let number = |id: &u64| i64::try_from(*id).unwrap_or_default();
        let parameter: Option<(&(dyn ToSql + Sync), Type)> = match question {
            Question::Key(text) | Question::Name(text) => Some((text, Type::TEXT)),
            Question::Id(asked) => {
                id = number(asked);
                Some((&id, Type::INT8))
            }
            Question::These(asked) => {
                ids = asked.iter().map(number).collect();
                Some((&ids, Type::INT8_ARRAY))
            }
            Question::All | Question::Anyone => None,
        };
        let rows = client.query_typed(&sql, parameter.as_slice()).await?;
        let rows = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Answer { rows, keys })
    }
}

impl Link {
    fn keys(&self) -> KeyColumn {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_keys(&self, keys: KeyColumn) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PostgresPlace { database, .. } = &self.place;
        write!(f, "the PostgreSQL database {database} at {}", self.place)
    }
}

impl Source for Postgres {
    /// They are sent one behind another on the one connection, so that a round trip is shared.
    const AT_ONCE: usize = 16;

    async fn connect(&self) -> Result<(), DatabaseError> {
        let client = self.dial().await;
        let client = client.map_err(|error| trouble::explain(&self.place, &error))?;
        let keys = Mutex::new(self.find_keys(&client).await?);
        let link = Arc::new(Link { client, keys });
        // The last one ends with its last question.
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
        Ok(())
    }

    async fn ask(&self, question: Question) -> Result<Answer, DatabaseError> {
        let link = self.link().ok_or_else(|| trouble::lost(&self.place))?;
        match self.put(&link.client, &question, link.keys()).await {
            Ok(answer) => Ok(answer),
            // A text that the database has no letters for is nobody's.
            Err(error) if trouble::is_strange_text(&error) => Ok(Answer {
                rows: Vec::new(),
                keys: link.keys(),
            }),
            // GameVault was updated, and the tables with it.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => {
                link.set_keys(self.find_keys(&link.client).await?);
                let answer = self.put(&link.client, &question, link.keys()).await;
                answer.map_err(|error| trouble::explain(&self.place, &error))
            }
            Err(error) => Err(trouble::explain(&self.place, &error)),
        }
    }

    async fn lost(&self) -> DatabaseError {
        loop {
            self.ended.notified().await;
            if self.link().is_some_and(|link| link.client.is_closed()) {
                return trouble::lost(&self.place);
            }
        }
    }

    fn silence(&self) -> DatabaseError {
        trouble::silence(&self.place)
    }

    fn emptiness(&self) -> DatabaseError {
        trouble::emptiness(&self.place)
    }
}

fn read(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    Ok(Row {
        id: row.try_get(0)?,
        username: row.try_get(1)?,
        role: row.try_get::<_, Option<String>>(2)?.unwrap_or_default(),
        is_activated: row.try_get::<_, Option<i64>>(3)?.unwrap_or_default() != 0,
        deleted_at: row.try_get(4)?,
        key: row.try_get(5)?,
        password: row.try_get(6)?,
    })
}

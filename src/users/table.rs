//! A document made searchable: what the directory answers from.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::user::folded;
use super::{ApiKey, Document, KeyDigest, PasswordHash, User, UserId};

/// One user with its secrets.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) user: Arc<User>,
    pub(super) api_key: ApiKey,
    pub(super) password: Option<PasswordHash>,
}

/// All users of one version of the file; never changed, only replaced.
#[derive(Debug)]
pub(super) struct Table {
    by_id: BTreeMap<UserId, Arc<Entry>>,
    by_key: HashMap<KeyDigest, Arc<Entry>>,
    /// By folded name.
    by_name: HashMap<String, Arc<Entry>>,
}

impl Table {
    pub(super) fn new(document: &Document) -> Table {
        let mut table = Table {
            by_id: BTreeMap::new(),
            by_key: HashMap::new(),
            by_name: HashMap::new(),
        };
        for record in document.users() {
            let user = Arc::new(record.user());
            let entry = Arc::new(Entry {
                user: Arc::clone(&user),
                api_key: record.api_key().clone(),
                password: record.password().cloned(),
            });
            table.by_id.insert(user.id, Arc::clone(&entry));
            table.by_key.insert(user.key_digest, Arc::clone(&entry));
            let name = folded(&user.username);
            // A name may belong to an existing user and to any number of removed ones; the existing
            // one is meant.
            if !user.is_deleted() || !table.by_name.contains_key(&name) {
                table.by_name.insert(name, entry);
            }
        }
        table
    }

    pub(super) fn by_id(&self, id: UserId) -> Option<&Entry> {
        self.by_id.get(&id).map(Arc::as_ref)
    }

    pub(super) fn by_key(&self, key: KeyDigest) -> Option<&Entry> {
        self.by_key.get(&key).map(Arc::as_ref)
    }

    pub(super) fn by_name(&self, username: &str) -> Option<&Entry> {
        self.by_name.get(&folded(username)).map(Arc::as_ref)
    }

    /// By ascending id.
    pub(super) fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.by_id.values().map(|entry| &entry.user)
    }
}

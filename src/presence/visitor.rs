//! A visitor: who has opened a session.

use crate::users::User;
use std::{net::SocketAddr, sync::Arc};

/// Who has opened a session.
pub enum Visitor {
    /// One who has shown a key.
    User(Arc<User>),
    /// One who has to show it when it joins, and where it comes from. That lies elsewhere, since nearly everyone is known.
    Stranger(Box<SocketAddr>),
}

impl Visitor {
    /// One who comes from `client`, and has shown nothing.
    pub fn stranger(client: SocketAddr) -> Self {
        Self::Stranger(Box::new(client))
    }

    /// The user, where the session knows it.
    pub fn user(&self) -> Option<&Arc<User>> {
        match self {
            Self::User(user) => Some(user),
            Self::Stranger(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Visitor;
    use std::mem::size_of;

    /// With the counts of its `Arc` it fills 32 bytes, which is what mimalloc has for 24 as well.
    #[test]
    fn a_visitor_is_small() {
        assert_eq!(size_of::<Visitor>(), 16);
    }
}

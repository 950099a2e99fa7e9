//! What this build can do: its Cargo features, as far as settings depend on them.

/// A Cargo feature.
pub(super) struct Feature {
    pub(super) name: &'static str,
    /// Whether this build has it.
    pub(super) is_built: bool,
}

/// Compressed answers of long-polling.
pub(super) const COMPRESSION: Feature = Feature {
    name: "compression",
    is_built: cfg!(feature = "compression"),
};

/// Connections that are encrypted.
pub(super) const TLS: Feature = Feature {
    name: "tls",
    is_built: cfg!(feature = "tls"),
};

/// Changes that are told to another server.
pub(super) const WEBHOOKS: Feature = Feature {
    name: "webhooks",
    is_built: cfg!(feature = "webhooks"),
};

/// GameVault's users in a SQLite file.
pub(super) const SQLITE: Feature = Feature {
    name: "sqlite",
    is_built: cfg!(feature = "sqlite"),
};

/// GameVault's users on a PostgreSQL server.
pub(super) const POSTGRES: Feature = Feature {
    name: "postgres",
    is_built: cfg!(feature = "postgres"),
};

impl Feature {
    /// The default of a switch: on, where it can be.
    pub(super) const fn switch(&self) -> &'static str {
        if self.is_built { "true" } else { "false" }
    }
}

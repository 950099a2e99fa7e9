//! The events: all that clients and the server say to each other, by name. What is in these lists is answered by the
//! [`Gateway`](super::Gateway), and stands in the document that the API serves of them.

/// An event that clients send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientEvent {
    /// A client reports what its user does.
    SetActivity,
    /// It wants to know what everyone does.
    GetActivities,
    /// It says of whom it wants to be told.
    Watch,
}

/// An event that the server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerEvent {
    /// What is known of all.
    Activities,
    /// What has changed of one.
    Activity,
    /// What was wrong with an event of the client's.
    Exception,
}

impl ClientEvent {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SetActivity, Self::GetActivities, Self::Watch];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SetActivity => "set-activity",
            Self::GetActivities => "get-activities",
            Self::Watch => "watch",
        }
    }

    /// The event of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

impl ServerEvent {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Activities, Self::Activity, Self::Exception];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Activities => "activities",
            Self::Activity => "activity",
            Self::Exception => "exception",
        }
    }
}

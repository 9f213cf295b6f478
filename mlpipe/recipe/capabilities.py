"""What each Core ML format and deployment target can hold, as pure data."""

"""Who is calling: passwords, sessions of users, signed cookies of guests."""

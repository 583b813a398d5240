"""Model APIs behind one interface; each adapter is loaded only when it is used."""

"""Who may do what: things that people own, requests for each of them, and the table that promises who may."""

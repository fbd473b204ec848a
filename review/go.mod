module tenant-permissions/review

go 1.26.0

require tenant-permissions v0.0.0-00010101000000-000000000000

replace tenant-permissions => ../

module tenant-permissions/tests

go 1.26

require (
	github.com/jackc/pgx/v5 v5.12.0
	github.com/pulumi/pulumi/sdk/v3 v3.259.0
	tenant-permissions/local v0.0.0
)

replace tenant-permissions/local => ../local
